"""How far a job is: the live line of a terminal, and the plain lines of everything else."""

import io

import pytest
from support.terminal import Screen

from stages.core import phases, progress
from stages.core.progress import Progress, doing, format_duration


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75.2, "1:15"), (3725, "62:05")]
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_plain_lines(clock, capsys):
    with Progress("training", "step", 40) as bar:
        clock[0] = 30.0
        bar.update(5, "not printed")
        bar.report(10, "loss 0.5000")
        bar.print("a [bold]line[/bold] :smile:")
    assert capsys.readouterr().out == (
        "step 10/40  loss 0.5000  1:30 left\na [bold]line[/bold] :smile:\n"
    )


def test_a_line_from_time_to_time_and_at_the_end(clock, capsys):
    with Progress("speaking", "utterance", 8000) as bar:
        for done in range(1, 8001):
            clock[0] = done / 800
            bar.advance()
    assert capsys.readouterr().out.splitlines() == [
        "utterance 4001/8000  800 utterances/s  0:05 left",
        "utterance 8000/8000  800 utterances/s  0:00 left",
    ]


def test_earlier_seconds_count_after_a_resume(clock, capsys):
    bar = Progress("training", "step", 40)
    bar.resume(10, 30.0)
    clock[0] = 10.0
    bar.report(20, "x")
    assert capsys.readouterr().out == "step 20/40  x  0:40 left\n"


def test_a_caller_that_knows_the_time_left(clock, capsys):
    Progress("stages", "stage", 3, remaining=lambda: 61.0).report(1, "a ran")
    Progress("stages", "stage", 3, remaining=lambda: None).report(1, "a ran")
    assert capsys.readouterr().out == "stage 1/3  a ran  1:01 left\nstage 1/3  a ran\n"


def test_a_live_line(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress("training", "step", 40, "compiling") as bar:
        bar.report(10, "loss [0.5]")
        bar.print("a [bold]line[/bold]")
    text = terminal.getvalue()
    assert "a [bold]line[/bold]" in text
    assert "10/40" in text
    assert "loss [0.5]" in text
    assert " left" in text
    assert "step 10/40" not in text


def terminal_of(monkeypatch):
    """Have this process write to a terminal of 60 columns; a function that gives its screen."""
    written = Terminal()
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("rich._console", None)  # which is as wide as it first was

    def show() -> Screen:
        screen = Screen(60)
        screen.feed(written.getvalue().replace("\n", "\r\n"))  # as a terminal does
        return screen

    return show


def test_what_counts_nothing_is_in_the_line_of_the_count(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with Progress("training", "step", 40, "starts") as bar:
        with doing("compiling"):
            bar._display.refresh()
            assert "0/40 compiling  0:00" in terminal().text
        bar.report(10, "loss 0.5")
        bar._display.refresh()
        assert "10/40 loss 0.5 " in terminal().text
        assert "compiling" not in terminal().text


def test_what_counts_nothing_has_a_line_while_it_lasts(monkeypatch):
    """Above it stands what is printed meanwhile; of the short nothing is seen."""
    terminal = terminal_of(monkeypatch)
    with doing("reading"):
        assert terminal().text.strip() == ""
    monkeypatch.setattr(phases, "SHORT", 0)
    with doing("waiting for a lock of a name that is longer than the line of the terminal"):
        print("a line")
        phases._phase_line[0].refresh()
        assert terminal().lines[0] == "a line"
        assert terminal().lines[1].startswith("waiting for a lock of a name")
        assert not terminal().wrapped
        with Progress("tokens", "row", 4) as bar:
            bar.update(3)
        assert "3/4" in terminal().text
        phases._phase_line[0].refresh()
        assert terminal().lines[2].startswith("waiting for a lock")
    assert "waiting" not in terminal().text
    assert terminal().cursor_shown


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch):
    written = Terminal()
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setenv("TERM", "dumb")
    with Progress("training", "step", 40) as bar, doing("compiling"):
        bar.report(10, "loss 0.5")
    assert written.getvalue().startswith("step 10/40  loss 0.5")
