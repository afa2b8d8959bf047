"""How far a job is: the live line of a terminal, and the plain lines of everything else."""

import io

import pytest

from stages.core import progress
from stages.core.progress import Progress, format_duration


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
