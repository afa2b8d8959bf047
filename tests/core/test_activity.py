"""What a process tells a parent that shows it; and that no parent is no error."""

import json
import os
import subprocess
import sys

import pytest

from stages.core import activity
from stages.core.activity import VARIABLE, Activity, publish, read_activity
from stages.core.progress import Progress, doing, silent


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """The file of a parent."""
    path = tmp_path / "activity"
    path.touch()
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setattr(activity, "_opened", {})
    return path


def test_what_goes_on_is_told(watched, capsys):
    assert read_activity(watched) is None
    with doing("reading a.csv"):
        found = read_activity(watched)
        assert found.phase == "reading a.csv"
        assert found.since > 0
        with Progress("tokens", "row", 30) as progress:
            assert read_activity(watched) == Activity(label="tokens", total=30)
            progress.report(12, "50 rows/s")
            found = read_activity(watched)
            assert found[2:6] == ("tokens", 12, 30, "50 rows/s")
            assert found.left.endswith(" left")
            with doing("compiling"), doing("waiting") as phase:
                assert read_activity(watched).phase == "waiting"
                phase.say("evaluating", "2/9")
                assert read_activity(watched).phase == "evaluating 2/9"
                assert read_activity(watched).done == 12
            assert read_activity(watched).phase == ""
        assert read_activity(watched).phase == "reading a.csv"
    assert read_activity(watched) == Activity()
    # The parent shows the count; lines go through as ever.
    progress.print("a line")
    assert capsys.readouterr().out == "a line\n"


def test_parts_of_another_job_are_not_told(watched):
    with doing("reading"), silent(), doing("reading a part"), Progress("tokens", "row", 3) as one:
        one.report(1, "fast")
        assert read_activity(watched).phase == "reading"


def test_a_count_is_told_five_times_a_second_at_most(watched, monkeypatch):
    written = []
    monkeypatch.setattr(activity.os, "pwrite", lambda *given: written.append(given))
    with Progress("training", "step", 10_000) as progress:
        for step in range(10_000):
            progress.update(step)
    assert progress.seconds < 4
    assert len(written) < 5 * progress.seconds + 5


@pytest.mark.parametrize("gone", ["file", "folder", "disk"])
def test_without_the_parent_the_work_goes_on(watched, monkeypatch, gone):
    if gone == "file":
        watched.unlink()
    elif gone == "folder":
        monkeypatch.setenv(VARIABLE, str(watched / "none/x"))
    else:
        monkeypatch.setenv(VARIABLE, "/dev/full")
    with doing("compiling"), Progress("training", "step", 3) as progress:
        progress.report(1, "loss 1")


def test_a_parent_that_is_killed_is_no_error(tmp_path):
    """Its folder is removed while the file is open."""
    path = tmp_path / "activity"
    path.touch()
    lines = (
        "import os",
        "from stages.core.progress import doing",
        "with doing('one'):",
        f"    os.remove({str(path)!r})",
        "    with doing('two'): pass",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, VARIABLE: str(path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_long_texts_and_strange_characters_fit(watched):
    publish(Activity(*("\U0001f600" * 500, 1.5, "x" * 500, 2, 3, "\x1b[31m" * 50, "é" * 500)))
    found = read_activity(watched)
    assert found.phase == "\U0001f600" * activity.LONGEST
    assert found.left == "é" * activity.LONGEST
    publish(Activity("short"))
    assert read_activity(watched) == Activity("short")
    assert watched.stat().st_size == activity.SIZE


@pytest.mark.parametrize("content", ["", "[1, ", "{}", json.dumps(list(range(9)))])
def test_what_cannot_be_read_is_nothing(tmp_path, content):
    (tmp_path / "activity").write_text(content)
    assert read_activity(tmp_path / "activity") in (None, Activity())
    assert read_activity(tmp_path / "none") is None


def test_nobody_watches_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(activity.os, "pwrite", lambda *given: pytest.fail("written"))
    with doing("compiling"):
        publish(Activity("x"))
