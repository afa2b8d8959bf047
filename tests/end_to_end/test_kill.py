"""A training process that is killed at any moment: `dvc repro` ends with the very same bytes.

`FLAXMILL_KILL_MOMENTS` says how often a process is killed, over all tasks: 8 by default. The first
time in each task is as soon as there is a state to resume from, others are drawn at random.
"""

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml
from support import small_pipeline

TASKS = ("mlm", "glue", "ner", "qa", "clm", "t5_mlm", "summarization", "speech")
MOMENTS = int(os.environ.get("FLAXMILL_KILL_MOMENTS") or len(TASKS))


class Pipeline:
    """The small pipeline, and what the task leaves after a whole run."""

    def __init__(self, folder: Path, task: str):
        self.folder, self.task = folder, task
        self.forget()
        small_pipeline.repro(folder, "--single-item", f"train@{task}", f"evaluate@{task}")
        self.whole = self.left()

    def left(self) -> dict[str, bytes]:
        """The files by name that training and evaluation leave, times aside."""
        kept = [self.folder / "metrics" / f"{self.task}.json"]
        for name in ("models", "plots", "results"):
            kept += [path for path in (self.folder / name / self.task).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in kept}

    def forget(self) -> None:
        """As if the task had never run: not in the lock, not in DVC's cache of runs."""
        lock = self.folder / "dvc.lock"
        content = yaml.safe_load(lock.read_text())
        for kind in ("train", "evaluate"):
            content["stages"].pop(f"{kind}@{self.task}", None)
        lock.write_text(yaml.safe_dump(content, sort_keys=False))
        for name in ("models", "plots", "results", "runs"):
            shutil.rmtree(self.folder / name / self.task, ignore_errors=True)
        (self.folder / "metrics" / f"{self.task}.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / ".dvc/cache/runs", ignore_errors=True)

    def start(self) -> "Training":
        """The training once more, from nothing."""
        self.forget()
        return Training(self.folder, self.task)


class Training:
    """`dvc repro` of a task's training, and the process in it that trains."""

    def __init__(self, folder: Path, task: str):
        self.dvc = small_pipeline.start(folder, "dvc", "repro", "--single-item", f"train@{task}")
        self.process = self._find()
        self.began = time.monotonic()

    def _find(self) -> psutil.Process:
        parent = psutil.Process(self.dvc.pid)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.dvc.poll() is None:
            for child in parent.children(recursive=True):
                try:
                    words = child.cmdline()
                except (psutil.NoSuchProcess, psutil.ZombieProcess):
                    continue
                if words[1:2] == ["-m"] and words[2].startswith("stages.run_"):
                    return child
            time.sleep(0.01)
        raise AssertionError(self.dvc.communicate(timeout=60)[0])

    def wait(self) -> float:
        """To its end; for how many seconds the process ran."""
        said, _ = self.dvc.communicate(timeout=600)
        assert self.dvc.returncode == 0, said
        return time.monotonic() - self.began

    def ends_within(self, seconds: float) -> bool:
        """Whether the process does; waits as long."""
        try:
            self.process.wait(seconds)
        except psutil.TimeoutExpired:
            return False
        return True

    def kill(self, with_dvc: bool) -> None:
        """As the system's want of memory does it; or a want of power, which takes DVC as well."""
        if with_dvc:
            os.kill(self.dvc.pid, signal.SIGKILL)
        self.process.kill()
        said, _ = self.dvc.communicate(timeout=120)
        assert self.dvc.returncode != 0, said


def kill_with_a_state(pipeline: Pipeline, with_dvc: bool) -> None:
    """Kill the training as soon as there is a state to resume from."""
    training = pipeline.start()
    while not list(pipeline.folder.glob(f"runs/{pipeline.task}/checkpoints/*/[0-9]*[0-9]")):
        assert not training.ends_within(0.005), training.dvc.communicate()[0]
    training.kill(with_dvc)
    assert not (pipeline.folder / "models" / pipeline.task / "model.safetensors").exists()


def kill_at_random(pipeline: Pipeline, with_dvc: bool, moments: random.Random) -> None:
    """Kill the training at any moment of its time."""
    seconds = pipeline.start().wait()
    training = pipeline.start()
    while training.ends_within(moments.uniform(0.05, 0.95) * seconds):
        # The first run compiled its programs, this one found them.
        seconds = training.wait()
        training = pipeline.start()
    training.kill(with_dvc)


def resumed_from(pipeline: Pipeline) -> int:
    """`dvc repro` after a kill: 0, or the step from which it resumed; the bytes are the same."""
    stages = (f"train@{pipeline.task}", f"evaluate@{pipeline.task}")
    said = small_pipeline.repro(pipeline.folder, "--single-item", *stages)
    left = pipeline.left()
    assert set(left) == set(pipeline.whole)
    for name, content in pipeline.whole.items():
        assert left[name] == content, f"{name} differs"
    assert not (pipeline.folder / "runs" / pipeline.task / "checkpoints").exists()
    found = re.search(r"resuming from step (\d+) of", said)
    return int(found[1]) if found else 0


@pytest.mark.slow(seconds=40)
@pytest.mark.parametrize("number", range(len(TASKS)), ids=TASKS)
def test_killed(number, prepared_pipeline, tmp_path):
    """The process alone, and with DVC."""
    folder = shutil.copytree(prepared_pipeline, tmp_path / "project", symlinks=True)
    # A state whenever there can be one: a moment taken at random then finds some.
    training = {"checkpoint_seconds": 0, "max_steps": 40}
    # What these two usually start from is not trained here.
    if TASKS[number] == "summarization":
        training |= {"model_name_or_path": "models/start/t5", "from_scratch": True}
    if TASKS[number] == "glue":
        training |= {"model_name_or_path": "models/mlm"}
    small_pipeline.change_params(folder, {"tasks": {TASKS[number]: training}})
    status, said = small_pipeline.run(folder, "stages.pipeline.unroll")
    assert status == 0, said
    pipeline = Pipeline(folder, TASKS[number])
    moments = random.Random(20 + number)
    for moment in range(number, MOMENTS, len(TASKS)):
        # A run that always started from the beginning would end the same: a state must be found.
        if moment < len(TASKS):
            kill_with_a_state(pipeline, with_dvc=moment % 2 == 1)
            assert resumed_from(pipeline) > 0
        else:
            kill_at_random(pipeline, with_dvc=moment % 3 == 2, moments=moments)
            resumed_from(pipeline)
