"""Stages in parallel: their order, how many at once, and what is said of failures."""

import json
import subprocess
import sys
import threading
import time

import pytest

from stages.gate.baselines import Baseline
from stages.gate.limits import NO_GATE, Gate
from stages.pipeline import repro, runner
from stages.pipeline.graph import parse_dot, with_dependants
from stages.pipeline.repro import default_jobs, parallel_repro, visible_gpus
from stages.pipeline.runner import StageRunner
from stages.pipeline.summary import (
    CACHED,
    FAILED,
    RAN,
    SKIPPED,
    Outcome,
    metric_lines,
    read_all_metrics,
    read_before,
    summary,
    write_before,
)

# world feeds mlm and clm; mlm feeds glue and ner.
NEEDS = {"world": set(), "clm": {"world"}, "mlm": {"world"}, "glue": {"mlm"}, "ner": {"mlm"}}


class Builder:
    """Notes when each stage starts and how many run at once."""

    def __init__(self, failing=()):
        self.failing = failing
        self.started: list[str] = []
        self.running = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, stage: str) -> Outcome:
        with self.lock:
            self.started.append(stage)
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.02)
        with self.lock:
            self.running -= 1
        return Outcome(FAILED if stage in self.failing else RAN)


def statuses(ended: dict[str, Outcome]) -> dict[str, str]:
    return {stage: one.status for stage, one in ended.items()}


def test_dot_is_read():
    text = 'strict digraph {\n"a";\n"b@x";\n"a" -> "b@x";\n"c" -> "b@x";\n}\n'
    assert parse_dot(text) == {"a": set(), "b@x": {"a", "c"}, "c": set()}


def test_dependants():
    assert with_dependants(NEEDS, {"mlm"}) == {"mlm", "glue", "ner"}
    assert with_dependants(NEEDS, set()) == set()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_order_and_number(jobs):
    build = Builder()
    assert set(statuses(parallel_repro(NEEDS, jobs, build)).values()) == {RAN}
    assert build.most <= jobs
    for stage, upstream in NEEDS.items():
        for other in upstream:
            assert build.started.index(other) < build.started.index(stage)
    assert build.started[:2] == ["world", "mlm"]  # two wait for mlm, none for clm


def test_of_stages_that_as_many_wait_for_a_long_chain_goes_on_first():
    """Else what waited for pre-training and questions would be left for the end, alone."""
    needs = {"world": set(), "mlm": {"world"}, "qa": {"mlm"}, "speech": {"world"},
             "clm": {"world"}, "glue": {"qa"}}  # fmt: skip
    build = Builder()
    parallel_repro(needs, 1, build)
    assert build.started == ["world", "mlm", "qa", "glue", "speech", "clm"]


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
def test_default_jobs(monkeypatch, plugins, tpu, cores, jobs):
    monkeypatch.setattr(repro, "entry_points", lambda group: plugins)
    monkeypatch.setattr(repro, "find_spec", lambda _: tpu)
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    assert default_jobs() == jobs


@pytest.mark.parametrize(
    ("jobs", "plugins", "named", "found"),
    [
        (2, ("xla_cuda13",), "1,3", ["1", "3"]),
        (2, ("xla_cuda13",), None, ["0", "1", "2"]),
        (2, (), None, []),
        (1, ("xla_cuda13",), "1,3", []),
    ],
)
def test_visible_gpus(monkeypatch, tmp_path, jobs, plugins, named, found):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\nfor n in 0 1 2; do echo "GPU $n: a card"; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(repro, "entry_points", lambda group: plugins)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus(jobs) == found


def test_no_driver_means_no_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(repro, "entry_points", lambda group: ("xla_cuda13",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(2) == []


def test_failure_starts_nothing_more():
    assert statuses(parallel_repro(NEEDS, 1, Builder(failing=("mlm",)))) == {
        "world": RAN, "mlm": FAILED, "clm": SKIPPED, "glue": SKIPPED, "ner": SKIPPED
    }  # fmt: skip


def test_keep_going_builds_what_it_can():
    ended = statuses(parallel_repro(NEEDS, 1, Builder(failing=("mlm",)), keep_going=True))
    assert ended["clm"] == RAN
    assert ended["glue"] == ended["ner"] == SKIPPED


def test_time_left_by_the_last_durations(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(runner.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(runner, "read_durations", lambda: {"a": 10.0, "b": 30.0})
    stages = StageRunner(["a", "b"], jobs=2, force=False)
    assert stages.remaining() == 20
    stages.begun["b"] = 94.0
    assert stages.remaining() == 17
    now[0] = 200.0  # longer than it last took
    assert stages.remaining() == 5
    assert StageRunner(["a", "new"], jobs=2, force=False).remaining() is None
    assert StageRunner([], jobs=2, force=False).remaining() == 0


def test_summary_of_a_run():
    ended = {
        "train@a": Outcome(RAN, 61.2),
        "train@b": Outcome(FAILED, 3, "error: b.csv: empty"),
        "evaluate@a": Outcome(CACHED, 0.4),
        "evaluate@b": Outcome(SKIPPED),
    }
    before = {("a", "eval_loss"): 0.5, ("a", "eval_f1"): 0.7, ("b", "eval_f1"): 0.6}
    after = {("a", "eval_loss"): 0.25, ("a", "eval_f1"): 0.7, ("c", "eval_f1"): 1.0}
    lines = summary(ended, before, after)
    assert [line.split() for line in lines[2:6]] == [
        ["train@a", "1:01", "ran"],
        ["train@b", "0:03", "failed"],
        ["evaluate@a", "0:00", "cached"],
        ["evaluate@b", "skipped"],
    ]
    assert lines[6] == "1 ran, 1 cached, 1 failed, 1 skipped"
    assert [line.split() for line in lines[9:12]] == [
        ["a", "eval_loss", "0.5", "0.25", "-0.25"],
        ["b", "eval_f1", "0.6", "-"],
        ["c", "eval_f1", "-", "1"],
    ]
    assert "failed: train@b: error: b.csv: empty" in lines
    assert summary({}, before, before) == []
    assert summary({"a": Outcome(RAN)}, before, before)[-1] == "no metric changed"
    assert "no metric changed" not in summary({"a": Outcome(CACHED)}, before, before)


HELD = {
    ("a", "eval_f1"): Gate(min=0.1, tolerance=0.1),
    ("a", "eval_wer"): Gate(max=1, tolerance="10%"),
    ("b", "eval_f1"): Gate(min=0.1),
    ("c", "eval_f1"): NO_GATE,
}


def shown(before: dict, after: dict, **options) -> tuple[list[list[str]], str]:
    """The rows of the table of metrics, and the line that counts the others."""
    lines = metric_lines(before, after, judged=HELD, **options)
    count = lines.pop() if lines and lines[-1].startswith("other metrics: ") else ""
    return [line.split() for line in lines[2:]], count


def test_the_table_has_what_moved_beyond_its_tolerance():
    same = {("a", "eval_f1"): 0.5, ("a", "eval_wer"): 0.2, ("b", "eval_f1"): 0.5}
    rest = {("a", f"eval_{n}"): 0.5 for n in range(5)}
    assert shown(same | rest, same | rest) == ([], "")
    # Within it, at its very edge, in both directions.
    for f1, wer in ((0.6, 0.22), (0.4, 0.18)):
        rows, count = shown(same, same | {("a", "eval_f1"): f1, ("a", "eval_wer"): wer})
        assert rows == []
        assert count == (
            "other metrics: 2 moved within a tolerance or have none, 1 did not move; make repro "
            "ARGS=-v shows them"
        )
    # Beyond it, for the better and for the worse.
    rows, count = shown(same, same | {("a", "eval_f1"): 0.61, ("a", "eval_wer"): 0.2201})
    assert rows == [
        ["a", "eval_f1", "0.5", "0.61", "+0.11"],
        ["a", "eval_wer", "0.2", "0.2201", "+0.0201"],
    ]
    assert count == "other metrics: 1 did not move; make repro ARGS=-v shows them"
    # One without a tolerance moves at all; what nothing is judged by is counted.
    rows, count = shown(same | rest, same | {("b", "eval_f1"): 0.51} | rest | {("a", "eval_0"): 9})
    assert rows == [["b", "eval_f1", "0.5", "0.51", "+0.01"]]
    assert count.startswith("other metrics: 1 moved within a tolerance or have none, 6 did not")
    # New and gone ones.
    rows, count = shown({}, {("c", "eval_f1"): 0.5} | rest)
    assert (rows, count[:27]) == ([["c", "eval_f1", "-", "0.5"]], "other metrics: 5 are new; m")
    rows, count = shown({("c", "eval_f1"): 0.5} | rest, {("z", "eval_f1"): 1})
    assert rows == [["c", "eval_f1", "0.5", "-"]]
    assert count.startswith("other metrics: 1 are new, 5 are gone; make")


def test_the_table_has_what_missed_its_baseline():
    figures = {("a", "eval_f1"): 0.5, ("a", "eval_wer"): 0.2, ("b", "eval_f1"): 0.5}
    baselines = {
        ("a", "eval_f1"): Baseline("majority_class", 0.4),
        ("a", "eval_wer"): Baseline("nearest_neighbour", 0.2),
        ("b", "eval_f1"): Baseline("bag_of_words", 0.7),
    }
    lines = metric_lines(figures, figures, baselines, HELD)
    assert [line.split() for line in lines[2:]] == [
        ["a", "eval_wer", "0.2", "0.2", "0.2", "(nearest_neighbour)"],
        ["b", "eval_f1", "0.5", "0.5", "0.7", "(bag_of_words)"],
    ]
    # In a narrow terminal without the method, so that no line wraps.
    narrow = metric_lines(figures, figures, baselines, HELD, width=50)
    assert [line.split()[-1] for line in narrow[1:]] == ["baseline", "0.2", "0.7"]
    assert max(map(len, narrow)) <= 50 < max(map(len, lines))


def test_verbose_shows_all():
    before = {("a", "eval_f1"): 0.5, ("a", "eval_1"): 0.5, ("a", "eval_2"): 0.5}
    after = before | {("a", "eval_1"): 0.25}
    rows, count = shown(before, after, verbose=True)
    assert rows == [
        ["a", "eval_1", "0.5", "0.25", "-0.25"],
        ["a", "eval_2", "0.5", "0.5"],
        ["a", "eval_f1", "0.5", "0.5"],
    ]
    assert count == ""


def test_the_metrics_before_a_run_are_kept_for_later(tmp_path):
    path = tmp_path / "runs/before.json"
    assert read_before(path) is None
    write_before({("a", "eval_f1"): 0.5}, path)
    assert read_before(path) == {("a", "eval_f1"): 0.5}
    for damaged in ("", "7", "[[1]]", "{}"):
        path.write_text(damaged)
        assert read_before(path) in (None, {})


def test_metrics_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "a.json").write_text('{"eval_f1": 0.5, "text": "x", "undefined": null}')
    (tmp_path / "b.json").write_text('{"eval_f1": NaN}')
    assert read_all_metrics(tmp_path) == {("a", "eval_f1"): 0.5}


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


def call(folder, *arguments: str) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "stages.pipeline.repro", "--jobs", "2", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_real_pipeline(pipeline):
    (pipeline / "fail").touch()
    failed = call(pipeline)
    assert failed.returncode == 1
    assert "failed: right: ERROR: failed to reproduce 'right'" in failed.stdout
    assert "2 ran, 1 failed" in failed.stdout

    (pipeline / "fail").unlink()
    fixed = call(pipeline)
    assert fixed.returncode == 0, fixed.stdout
    assert "3 stages are up to date, 1 of them" in fixed.stdout
    assert "[right] Running stage 'right'" in fixed.stdout
    assert "stage 1/1  right ran in " in fixed.stdout
    assert (pipeline / "left.txt").read_text() == (pipeline / "right.txt").read_text() == "1\n"

    (pipeline / "right.txt").unlink()
    restored = call(pipeline)
    assert "1 cached" in restored.stdout
    forced = call(pipeline, "--force")
    assert "3 ran" in forced.stdout
    assert call(pipeline).stdout == "3 stages are up to date, 0 of them checked or run now\n"


def test_what_comes_next(tmp_path, monkeypatch):
    """Only after a training, with paths from the project's folder."""
    ran, cached = Outcome(RAN), Outcome(CACHED)
    profile = tmp_path / "profiles/reviews"
    profile.mkdir(parents=True)
    (tmp_path / "stages").mkdir()
    (profile / "stages").symlink_to("../../stages")
    monkeypatch.chdir(profile)
    assert repro.next_steps({"code": ran, "train@glue": cached}) == []
    first, second = repro.next_steps({"train@mlm": ran, "train@glue": ran, "evaluate@glue": ran})
    assert "make report PROFILE=reviews, make gate PROFILE=reviews" in first
    assert second.endswith(" -m stages.predict profiles/reviews/models/glue FILE")
    monkeypatch.chdir(tmp_path)
    first, second = repro.next_steps({"train@mlm": ran, "train@glue": ran})
    assert "make report, make gate," in first
    assert second.endswith(" -m stages.predict models/TASK FILE")


@pytest.mark.slow
def test_verbose_shows_the_last_runs_metrics_later(pipeline):
    """Nothing is left to do then, but the table named the way to see the rest."""
    command = "mkdir -p metrics && cp first.txt metrics/a.json"
    (pipeline / "params.yaml").write_text("tasks: {a: {}}\ngates: {a: {eval_f1: {min: 0.1}}}\n")
    for figures in ({"eval_f1": 0.5, "eval_x": 1}, {"eval_f1": 0.5, "eval_x": 2}):
        content = json.loads((pipeline / "dvc.yaml").read_text())
        content["stages"]["first"]["cmd"] = f"echo '{json.dumps(figures)}' > first.txt"
        content["stages"]["left"] |= {"cmd": command, "outs": ["metrics/a.json"]}
        (pipeline / "dvc.yaml").write_text(json.dumps(content))
        last = call(pipeline).stdout
    assert "other metrics: 1 moved within a tolerance or have none, 1 did not move; make" in last
    assert ["a", "eval_x"] not in [line.split()[:2] for line in last.splitlines()]
    later = call(pipeline, "-v").stdout
    assert "3 stages are up to date, 0 of them checked or run now" in later
    assert ["a", "eval_x", "1", "2", "+1"] in [line.split() for line in later.splitlines()]


@pytest.mark.slow
def test_code_runs_first_and_what_it_left_alone_is_not_asked(tmp_path):
    """A comment changes the sources but no file of `code`: no process for what depends on them."""
    stages = {
        "code": {"cmd": "grep -v '#' source > digest", "deps": ["source"],
                 "outs": [{"digest": {"cache": False, "persist": True}}]},
        "train": {"cmd": "cat digest > model", "deps": ["digest"], "outs": ["model"]},
    }  # fmt: skip
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (tmp_path / "source").write_text("x = 1\n")
    line = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
    subprocess.run(line, cwd=tmp_path, check=True)
    assert "2 ran" in call(tmp_path).stdout
    (tmp_path / "source").write_text("# why\nx = 1\n")
    said = call(tmp_path).stdout
    assert "2 stages are up to date, 1 of them checked or run now" in said
    assert "1 ran" in said
    assert "train" not in said
    (tmp_path / "source").write_text("x = 2\n")
    assert "2 ran" in call(tmp_path).stdout
    (tmp_path / "source").write_text("# nothing\n")  # then grep fails
    failed = call(tmp_path)
    assert failed.returncode == 1
    assert "failed: code" in failed.stdout
    assert "train" not in failed.stdout
    assert (tmp_path / "model").read_text() == "x = 2\n"


@pytest.mark.slow
def test_each_failure_is_named(pipeline):
    """Both fail at once; neither hides the other, and a stage's own line beats DVC's."""
    content = json.loads((pipeline / "dvc.yaml").read_text())
    for name in ("left", "right"):
        content["stages"][name]["cmd"] = f"sleep 1; echo 'error: {name}.csv: empty'; exit 1"
    (pipeline / "dvc.yaml").write_text(json.dumps(content))
    failed = call(pipeline)
    assert failed.returncode == 1
    for name in ("left", "right"):
        assert f"failed: {name}: error: {name}.csv: empty" in failed.stdout
