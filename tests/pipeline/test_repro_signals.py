"""A signal to `stages.pipeline.repro` reaches every stage that runs; an ignored one none."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stages.pipeline import dvc_process
from stages.pipeline.dvc_process import DvcProcess, Stopped, forwarded_signals

# Notes its process and a signal that ends it, and ends by itself in half a minute.
STAGE = """
import os, signal, sys, time
name = sys.argv[1]
def note(number, frame):
    open(f"{name}.signal", "w").write(signal.Signals(number).name)
    sys.exit(1)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, note)
open(f"{name}.part", "w").write(str(os.getpid()))
os.rename(f"{name}.part", f"{name}.pid")
while not os.path.exists("enough"):
    time.sleep(0.05)
open(f"{name}.txt", "w").write("done")
"""


@pytest.fixture
def start(tmp_path):
    """`start(ignored signals)`: a run of two stages that wait, both under way."""
    stages = {name: {"cmd": f"python stage.py {name}", "outs": [f"{name}.txt"]} for name in "ab"}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (tmp_path / "stage.py").write_text(STAGE)
    line = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
    subprocess.run(line, cwd=tmp_path, check=True)
    started = []

    def ignore(numbers):
        # The others as in a terminal: the tests themselves may run where SIGINT is ignored.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in numbers else signal.SIG_DFL)

    def run(*ignored: int) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.pipeline.repro", "--jobs", "2"],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: ignore(ignored),
        )
        started.append(process)
        wait_for(lambda: all((tmp_path / f"{name}.pid").exists() for name in "ab"))
        return process

    yield run
    (tmp_path / "enough").touch()
    for process in started:
        process.communicate(timeout=60)


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_run_and_its_stages(start, tmp_path, number):
    process = start()
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == f"stopped by {number.name}"
    for name in "ab":
        assert (tmp_path / f"{name}.signal").read_text() == number.name
        assert not (tmp_path / f"{name}.txt").exists()
        wait_for(lambda name=name: not runs(int((tmp_path / f"{name}.pid").read_text())))


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(start, tmp_path, number):
    """To the run, and to a stage that gets it as all of a terminal's processes do."""
    process = start(number)
    process.send_signal(number)
    for name in "ab":
        os.kill(int((tmp_path / f"{name}.pid").read_text()), number)
    (tmp_path / "enough").touch()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert {name: (tmp_path / f"{name}.txt").read_text() for name in "ab"} == {
        "a": "done", "b": "done"
    }  # fmt: skip


def test_handlers_are_those_of_before_afterwards():
    before = [signal.getsignal(number) for number in dvc_process.SIGNALS]
    with pytest.raises(Stopped, match="SIGHUP") as caught, forwarded_signals():
        signal.raise_signal(signal.SIGHUP)
    assert caught.value.number == signal.SIGHUP
    assert [signal.getsignal(number) for number in dvc_process.SIGNALS] == before


CLOSED_TERMINAL = """
import os, pty, signal
from contextlib import suppress
from stages.pipeline.dvc_process import Stopped, forwarded_signals

master, terminal = pty.openpty()
os.dup2(terminal, 1)
os.close(terminal)
with suppress(Stopped), forwarded_signals():
    os.close(master)
    signal.raise_signal(signal.SIGHUP)
print("the last lines of a stage", flush=True)
"""


def test_a_closed_terminal_does_not_keep_the_stages_from_ending():
    """Their lines are read to the end; to print them there would fail, and then they would."""
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_TERMINAL], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_in_another_thread_nothing_changes():
    def work():
        with forwarded_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


def test_a_command_that_starts_after_the_signal_gets_it_too():
    """A thread may be about to start one when the main thread is told to stop."""
    with pytest.raises(Stopped), forwarded_signals():
        signal.raise_signal(signal.SIGTERM)
    process = DvcProcess("repro", "--wait-for-lock", "nothing", merged=True)
    list(process.lines())
    assert process.wait() in (-signal.SIGTERM, 128 + signal.SIGTERM)
    with forwarded_signals():  # forgets it
        process = DvcProcess("version", merged=True)
        list(process.lines())
        assert process.wait() == 0
