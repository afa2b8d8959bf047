"""Stages side by side: in order, no more at a time than asked for, and failures that are told."""

import json
import subprocess
import sys
import threading
import time

import pytest

from stages import side_by_side
from stages.side_by_side import parse_dot, run, usual_jobs, with_dependants

# world feeds mlm and clm; mlm feeds glue and ner.
NEEDS = {"world": set(), "clm": {"world"}, "mlm": {"world"}, "glue": {"mlm"}, "ner": {"mlm"}}


class Builder:
    """Notes when each stage starts and how many run at once."""

    def __init__(self, failing=()):
        self.failing = failing
        self.started: list[str] = []
        self.running = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, stage: str) -> int:
        with self.lock:
            self.started.append(stage)
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.02)
        with self.lock:
            self.running -= 1
        return 1 if stage in self.failing else 0


def test_dot_is_read():
    text = 'strict digraph {\n"a";\n"b@x";\n"a" -> "b@x";\n"c" -> "b@x";\n}\n'
    assert parse_dot(text) == {"a": set(), "b@x": {"a", "c"}, "c": set()}


def test_dependants():
    assert with_dependants(NEEDS, {"mlm"}) == {"mlm", "glue", "ner"}
    assert with_dependants(NEEDS, set()) == set()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_order_and_number(jobs):
    build = Builder()
    assert set(run(NEEDS, jobs, build).values()) == {"done"}
    assert build.most <= jobs
    for stage, upstream in NEEDS.items():
        for other in upstream:
            assert build.started.index(other) < build.started.index(stage)
    assert build.started[:2] == ["world", "mlm"]  # two wait for mlm, none for clm


@pytest.mark.parametrize(
    ("plugins", "tpu", "cores", "jobs"),
    [
        ((), None, 1, 1),
        ((), None, 2, 2),
        ((), None, 64, 2),
        (("xla_cuda13",), None, 64, 1),
        ((), "libtpu", 64, 1),
    ],
)
def test_usual_jobs(monkeypatch, plugins, tpu, cores, jobs):
    monkeypatch.setattr(side_by_side, "entry_points", lambda group: plugins)
    monkeypatch.setattr(side_by_side, "find_spec", lambda _: tpu)
    monkeypatch.setattr(side_by_side, "cpu_count", lambda: cores)
    assert usual_jobs() == jobs


def test_failure_starts_nothing_more():
    fate = run(NEEDS, 1, Builder(failing=("mlm",)))
    assert fate == {
        "world": "done", "mlm": "failed", "clm": "not run", "glue": "not run", "ner": "not run"
    }  # fmt: skip


def test_keep_going_builds_what_it_can():
    fate = run(NEEDS, 1, Builder(failing=("mlm",)), keep_going=True)
    assert fate["clm"] == "done"
    assert fate["glue"] == fate["ner"] == "not run"


@pytest.fixture
def pipeline(tmp_path):
    """A DVC project without Git in which `left` and `right` each take the file of `first`."""
    copy = "cat first.txt > {0}.txt && {1}"
    stages = {"first": {"cmd": "echo 1 > first.txt", "outs": ["first.txt"]}}
    for name, then in (("left", "true"), ("right", "test ! -e fail")):
        cmd = copy.format(name, then)
        stages[name] = {"cmd": cmd, "deps": ["first.txt"], "outs": [f"{name}.txt"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    line = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
    subprocess.run(line, cwd=tmp_path, check=True)
    return tmp_path


def test_real_pipeline(pipeline):
    def call() -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "stages.side_by_side", "--jobs", "2"]
        return subprocess.run(line, cwd=pipeline, capture_output=True, text=True)

    (pipeline / "fail").touch()
    failed = call()
    assert failed.returncode == 1
    assert "failed: right" in failed.stdout

    (pipeline / "fail").unlink()
    mended = call()
    assert mended.returncode == 0, mended.stdout
    assert "3 stages are up to date, 1 of them" in mended.stdout
    assert "[right] Running stage 'right'" in mended.stdout
    assert (pipeline / "left.txt").read_text() == (pipeline / "right.txt").read_text() == "1\n"
