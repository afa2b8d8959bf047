"""A training process that is killed at any moment: `dvc repro` ends with the very same bytes."""

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


class Pipeline:
    """The small pipeline, run once to its end, and what each task left."""

    def __init__(self, folder: Path, tasks):
        # A checkpoint whenever one can be had: a moment taken at random then finds some.
        self.folder = small_pipeline.make_project(folder, checkpoint_seconds=0)
        self.seconds, self.whole = {}, {}
        for task in tasks:
            small_pipeline.repro(self.folder, *upstream(self.folder, task))
            running = Training(self, task)
            self.seconds[task] = running.wait()
            small_pipeline.repro(self.folder, f"evaluate@{task}")
            self.whole[task] = self.left(task)

    def left(self, task: str) -> dict[str, bytes]:
        """The files by name that a task's training and evaluation leave, times aside."""
        kept = [self.folder / "metrics" / f"{task}.json"]
        for name in ("models", "plots", "results"):
            kept += [path for path in (self.folder / name / task).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in kept}

    def forget(self, task: str) -> None:
        """As if the task had never run: not in the lock, not in DVC's cache of runs."""
        lock = self.folder / "dvc.lock"
        content = yaml.safe_load(lock.read_text())
        for kind in ("train", "evaluate"):
            content["stages"].pop(f"{kind}@{task}", None)
        lock.write_text(yaml.safe_dump(content, sort_keys=False))
        for name in ("models", "plots", "results", "runs"):
            shutil.rmtree(self.folder / name / task, ignore_errors=True)
        (self.folder / "metrics" / f"{task}.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / ".dvc/cache/runs", ignore_errors=True)


def upstream(project: Path, task: str) -> list[str]:
    """What has to be there before the task's training."""
    model = small_pipeline.params(project)["tasks"][task]
    kind, _, name = model["model_name_or_path"].removeprefix("models/").rpartition("/")
    return [f"fetch@{task}", f"tokenizer@{name}" if kind else f"train@{name}"]


class Training:
    """`dvc repro` of a task's training, and the process in it that trains."""

    def __init__(self, pipeline: Pipeline, task: str):
        self.dvc = small_pipeline.start(
            pipeline.folder, "dvc", "repro", "--single-item", f"train@{task}"
        )
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
        """To its end; for how many seconds the process was there."""
        said, _ = self.dvc.communicate(timeout=600)
        assert self.dvc.returncode == 0, said
        return time.monotonic() - self.began

    def ends_within(self, seconds: float) -> bool:
        """Whether the process does; it is waited for as long."""
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


def went_on_from(pipeline: Pipeline, task: str) -> int:
    """`dvc repro` after a kill: 0, or the step from which it went on; the bytes are the same."""
    said = small_pipeline.repro(pipeline.folder, f"evaluate@{task}")
    left = pipeline.left(task)
    assert set(left) == set(pipeline.whole[task])
    for name, content in pipeline.whole[task].items():
        assert left[name] == content, f"{name} differs"
    assert not (pipeline.folder / "runs" / task / "checkpoints").exists()
    found = re.search(r"resuming from step (\d+) of", said)
    return int(found[1]) if found else 0


def test_killed_once_there_is_a_checkpoint(tmp_path):
    """The short form: one task, once the process alone and once with DVC."""
    pipeline = Pipeline(tmp_path / "project", ["clm"])
    for with_dvc in (False, True):
        pipeline.forget("clm")
        training = Training(pipeline, "clm")
        end = time.monotonic() + 120
        while not list(pipeline.folder.glob("runs/clm/checkpoints/*/[0-9]*[0-9]")):
            assert time.monotonic() < end, training.dvc.communicate()[0]
            time.sleep(0.005)
        training.kill(with_dvc)
        assert not (pipeline.folder / "models/clm/model.safetensors").exists()
        assert went_on_from(pipeline, "clm") > 0


@pytest.mark.slow
def test_killed_at_twenty_moments_over_all_tasks(tmp_path):
    pipeline = Pipeline(tmp_path / "project", TASKS)
    moments = random.Random(20)
    steps = []
    for number in range(20):
        task = TASKS[number % len(TASKS)]
        pipeline.forget(task)
        training = Training(pipeline, task)
        while training.ends_within(moments.uniform(0.05, 0.95) * pipeline.seconds[task]):
            # The first run compiled its programs, this one found them.
            pipeline.seconds[task] = training.wait()
            pipeline.forget(task)
            training = Training(pipeline, task)
        training.kill(with_dvc=number % 3 == 2)
        steps.append((task, went_on_from(pipeline, task)))
        print(*steps[-1], flush=True)
    # A run that always began anew would end with the same bytes, too.
    assert sum(step > 0 for _, step in steps) >= 5, steps
