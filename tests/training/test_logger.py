"""What a training shows, and what it logs: all metrics in its files, and one run of TensorBoard."""

import struct
import time

import pytest
from support import table_model
from tensorboardX.proto.event_pb2 import Event

from stages.core.metric_names import chosen
from stages.core.params import gated_metrics
from stages.tasks.registry import TASKS, arguments_class
from stages.training.best import Evaluation
from stages.training.logger import Logger
from stages.training.loop import fit
from stages.training.results import judged_metrics

METRICS = {"eval_loss": 0.25, "eval_f1": 0.5, "eval_LOC_f1": 0.125, "eval_accuracy": 0.75}


def events(folder) -> dict[str, list[int]]:
    """{tag: steps} of all event files of a folder, as TensorBoard joins them to one run."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:  # a length, its sum, a record, its sum
            (size,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


def log(folder, done: int = 0, steps: int = 4, **options) -> None:
    """A training of some steps, evaluated at each second one."""
    with Logger(steps, 1, str(folder / "plots"), str(folder / "runs"), done, **options) as logger:
        for step in range(done + 1, steps + 1):
            logger.log_step(step, 1.0, 1.0, 10, 0.1)
            if step % 2 == 0:
                logger.log_evaluation(step, METRICS, 0.0)


@pytest.mark.parametrize(
    ("judged_by", "shown"),
    [
        (["eval_f1", "eval_accuracy"], "eval_f1 0.5  eval_accuracy 0.75"),
        (["test_f1", "eval_f1"], "eval_f1 0.5"),  # the gate is of another split
        (["eval_wer"], "eval_loss 0.25  eval_f1 0.5  eval_LOC_f1 0.125  eval_accuracy 0.75"),
        ([], "eval_loss 0.25  eval_f1 0.5  eval_LOC_f1 0.125  eval_accuracy 0.75"),
    ],
)
def test_a_validation_prints_what_the_model_is_judged_by(tmp_path, capsys, judged_by, shown):
    log(tmp_path, judged_by=judged_by)
    lines = [line for line in capsys.readouterr().out.splitlines() if "eval_" in line]
    assert lines == [f"step 2: {shown}", f"step 4: {shown}"]
    curve = (tmp_path / "plots/validation.csv").read_text()
    assert curve.splitlines() == ["step," + ",".join(METRICS), *(
        f"{step},0.25,0.5,0.125,0.75" for step in (2, 4)
    )]  # fmt: skip
    assert {tag for tag in events(tmp_path / "runs") if tag.startswith("validation/")} == {
        f"validation/{name}" for name in METRICS
    }


def test_the_loop_passes_it_on(tmp_path, capsys):
    fit(
        table_model.Table(), table_model.loss, table_model.many_rows(4, seed=1),
        table_model.arguments(tmp_path, max_steps=2),
        evaluate=lambda: Evaluation(METRICS), judged_by=["eval_f1"],
    )  # fmt: skip
    assert "step 2: eval_f1 0.5\n" in capsys.readouterr().out


def test_what_a_model_is_judged_by(tmp_path, monkeypatch):
    """Its gates where the command names its section, else the main metrics of its task."""
    file = tmp_path / "params.yaml"
    file.write_text(
        "tasks: {reviews: {task: glue}, other: {task: glue}}\n"
        "gates:\n"
        "  reviews: {eval_f1: {min: 0.5}, eval_old: retired, retired: [eval_a_*]}\n"
    )
    args = table_model.arguments(tmp_path)
    monkeypatch.setattr(type(args), "main_metrics", ("eval_accuracy",))
    for words, found in (
        (["--params", "tasks.reviews", "--params_file", str(file)], ["eval_f1"]),
        ([f"--params_file={file}", "--params=tasks.other", "--seed", "1"], ("eval_accuracy",)),
        (["--seed", "1"], ("eval_accuracy",)),
    ):
        monkeypatch.setattr("sys.argv", ["run", *words])
        assert judged_metrics(args) == found
    assert gated_metrics({"gates": {"a": "retired"}}, "a") == []
    assert gated_metrics({}, "a") == []


@pytest.mark.parametrize("task", TASKS)
def test_the_main_metrics_are_those_of_the_registry(task):
    known = TASKS[task]
    wanted = (known.main_metric,) if known.main_metric else known.curves
    assert arguments_class(task).main_metrics == wanted


def test_chosen():
    assert chosen(["eval_a", "eval_b"], ["test_b", "eval_b", "eval_c"]) == ["eval_b"]
    assert chosen(["eval_a", "eval_b"], ["eval_c"]) == ["eval_a", "eval_b"]


def test_a_training_is_one_run_of_tensorboard(tmp_path):
    """With the curves of training and validation; an earlier training in the folder is gone."""
    log(tmp_path, steps=8)
    log(tmp_path)
    (folder,) = {path.parent for path in tmp_path.rglob("events.out.tfevents.*")}
    found = events(folder)
    assert found["train/loss"] == [1, 2, 3, 4]
    assert found["validation/eval_f1"] == [2, 4]


def test_a_resumed_training_goes_on_in_its_run(tmp_path):
    log(tmp_path, steps=2)
    time.sleep(1.1)  # the files' names have seconds
    log(tmp_path, done=2)
    assert events(tmp_path / "runs")["train/loss"] == [1, 2, 3, 4]
