"""Stages side by side on a terminal: live lines while they run, and what is left of them."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zc.lockfile
from support.terminal import Command

from stages.core.activity import VARIABLE, Activity
from stages.pipeline.screen import LiveScreen, describe

# Does for some seconds what its arguments say, as a stage of the pipeline would.
STAGE = """
import sys, time
from stages.core.errors import InputError, command
from stages.core.progress import Progress, doing

@command
def main():
    name, what = sys.argv[1:]
    print(f"the model of {name} is [new] " + "x" * 90, flush=True)
    with Progress("training", "step", 40) as progress:
        with doing("compiling"):
            time.sleep(3)
        for step in range(1, 41):
            time.sleep(0.05)
            progress.report(step, f"loss {1 / step:.4f}  1,234 tokens/s")
    progress.print("step 40: eval_f1 0.5")
    if what == "fails":
        raise InputError(f"{name}.csv: empty")
    open(f"{name}.txt", "w").write("done")

main()
"""


# Without the question what changed, which a lock that is held keeps from being answered.
RUN_ONE = """
from stages.pipeline.runner import StageRunner
from stages.pipeline.repro import parallel_repro
if __name__ == "__main__":
    with StageRunner(["a"], 1, force=False) as runner:
        parallel_repro({"a": set()}, 1, runner)
"""
# Seconds in which the server that DVC's processes are forks of may start.
STARTS = 15


@pytest.fixture
def project(tmp_path):
    """`project(name=what)`: a DVC project with these stages, none of which needs another."""

    def make(**stages: str) -> Path:
        listed = {
            name: {"cmd": f"{sys.executable} stage.py {name} {what}", "outs": [f"{name}.txt"]}
            for name, what in stages.items()
        }
        (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": listed}))
        (tmp_path / "stage.py").write_text(STAGE)
        line = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
        subprocess.run(line, cwd=tmp_path, check=True)
        return tmp_path

    return make


def repro(folder: Path, *words: str, width: int = 80) -> Command:
    line = (sys.executable, "-m", "stages.pipeline.repro", "--jobs", "2", *words)
    return Command(*line, width=width, cwd=folder)


# A line of a stage that runs: name, time, and what it does.
ROW = re.compile(r"[\w@…-]+ +\d+:\d\d  ")


def live_lines(text: str) -> dict[int, str]:
    """The live lines by their numbers: that of the whole run, and those of its stages above it."""
    lines = text.splitlines()
    last = next((n for n, line in enumerate(lines) if " stages done" in line), None)
    if last is None:
        return {}
    first = last
    while first and ROW.match(lines[first - 1]):
        first -= 1
    return dict(enumerate(lines[first : last + 1], first))


@pytest.mark.slow(seconds=25)
@pytest.mark.parametrize("width", [60, 120])
def test_each_running_stage_has_a_line(project, width):
    names = ("left", "a-stage-with-a-long-name")
    command = repro(project(**dict.fromkeys(names, "works")), width=width)
    status, text = command.finish()
    assert status == 0, text
    live = [live_lines(shown) for _, shown in command.shown]
    both = [lines for lines in live if len(lines) == 3]
    assert both, text
    for lines, wrapped in zip(live, command.wrapped, strict=True):
        assert not wrapped.intersection(lines)
    said = "\n".join("\n".join(lines.values()) for lines in live)
    assert re.search(r"^left +\d:\d\d  training 0/40  compiling 0:0[1-3]", said, re.MULTILINE)
    assert re.search(r"^left .*training [1-4]\d/40  0:0\d left", said, re.MULTILINE)
    # Of a narrow line the end is cut, while the long name beside it takes the room.
    beside = "\n".join("\n".join(lines.values()) for lines in both)
    assert ("loss 0.0" in beside) == (width == 120)
    assert re.search(r"^0 of 2 stages done  0:\d\d$", said, re.MULTILINE)
    # The stage sleeps three seconds where others compile: it is said in the first two.
    compiles = next(when for when, shown in command.shown if "compiling" in shown)
    counts = next(when for when, shown in command.shown if re.search(r"training [1-9]", shown))
    assert counts - compiles > 1
    # What stays: the lines of the stages, whole, and the table; of the live lines none.
    whole = text.replace("\n", "")
    for name in names:
        assert f"[{name}] the model of {name} is [new] " + "x" * 90 in whole
        assert f"[{name}] step 40: eval_f1 0.5" in text
        assert f"[{name}] ran in 0:" in text
    assert "stages done" not in text
    assert "compiling" not in text
    assert "loss" not in text
    assert "Running stage" not in text
    assert "stage.py" not in text
    assert "2 stages are up to date" in text
    assert command.screen.cursor_shown


@pytest.mark.slow(seconds=12)
def test_verbose_shows_the_commands(project):
    status, text = repro(project(a="works"), "-v", width=200).finish()
    assert status == 0, text
    assert "[a] Running stage 'a':" in text
    assert re.search(r"\[a\] > \S+ stage.py a works", text)


@pytest.mark.slow(seconds=15)
def test_a_failure_stays_to_be_seen(project):
    command = repro(project(bad="fails", good="works"), "--keep-going", width=100)
    status, text = command.finish()
    assert status == 1
    assert "[bad] error: bad.csv: empty" in text
    assert "[bad] failed in 0:" in text
    assert "failed: bad: error: bad.csv: empty" in text
    assert any(
        "1 stages done, 1 failed" in shown or "1 failed" in shown for _, shown in command.shown
    )
    assert command.screen.cursor_shown


@pytest.mark.slow(seconds=10)
def test_ctrl_c_leaves_a_clean_terminal(project):
    command = repro(project(a="works", b="works"))
    command.read(until=lambda text: "compiling" in text)
    command.press("\x03")
    status, text = command.finish()
    assert status == 128 + signal.SIGINT
    assert text.splitlines()[-1] == "stopped by SIGINT"
    assert "stages done" not in text
    assert command.screen.cursor_shown


@pytest.mark.slow(seconds=12)
def test_a_wait_for_dvcs_lock_is_said(project):
    folder = project(a="works")
    (folder / ".dvc/tmp").mkdir(exist_ok=True)
    lock = zc.lockfile.LockFile(str(folder / ".dvc/tmp/lock"))
    runner = Command(sys.executable, "-c", RUN_ONE, cwd=folder)
    try:
        runner.read(until=lambda text: "waiting for DVC's lock" in text, seconds=60)
        shown = [when for when, text in runner.shown if live_lines(text)]
        assert runner.shown[-1][0] < shown[0] + 2 + STARTS
    finally:
        lock.close()
    status, text = runner.finish()
    assert status == 0, text
    assert "[a] ran in 0:" in text


def test_what_a_stage_does_is_described(tmp_path):
    file = tmp_path / "1"

    def said(activity: Activity) -> str:
        file.write_text(json.dumps(activity))
        return describe(file, 100.0)

    assert describe(file, 100.0) == "starting"
    assert said(Activity("running")) == "running"
    assert said(Activity()) == "running"
    assert said(Activity("compiling", 88.0)) == "compiling 0:12"
    assert said(Activity("", 0, "tokens", 3, 9, "50 rows/s", "0:04 left")) == (
        "tokens 3/9  0:04 left  50 rows/s"
    )
    assert said(Activity("evaluating 2/3", 99.0, "training", 20, 60, "loss 1", "0:04 left")) == (
        "training 20/60  evaluating 2/3 0:01"
    )
    file.write_text("[1, 2")
    assert describe(file, 100.0) == "starting"


def test_lines_of_stages_are_no_markup(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = LiveScreen(1, lambda: None)
    with screen:
        assert Path(screen.begin("a")[VARIABLE]).read_bytes() == b""
        screen.print("a", "a [bold]line[/bold] :smile:")
        screen.end("a", "ran in 0:01")
    assert "[a] a [bold]line[/bold] :smile:" in capsys.readouterr().out
