"""The best weights and early stopping: which is best, when to stop, what is left and printed."""

import json
import math

import numpy as np
import pytest
from support import scripts
from support.table_model import Table, arguments, loss, rows, values_of

from stages.core.errors import InputError
from stages.training.best import BestTracker, Evaluation
from stages.training.loop import fit


def follow(values, **options):
    """(best value, its step, the evaluation after which to stop) of a tracker of f1."""
    options = {"load_best_model_at_end": True, "metric_for_best_model": "f1", **options}
    tracker = BestTracker(arguments("o", validation_file="v", **options))
    stop = None
    for step, value in enumerate(values, start=1):
        evaluation = Evaluation({"eval_loss": 1.0, "eval_f1": value}, step)
        tracker.update(step, evaluation, {"at": np.array(step)})
        if stop is None and tracker.reason_to_stop():
            stop = step
    best = tracker.results()
    if best:
        assert tracker.best.weights == {"at": best["best_step"]}
        assert tracker.best.evaluation.predictions == best["best_step"]
    return best.get("best_metric"), best.get("best_step"), stop


NAN = math.nan


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([1, 3, 2, 3], {}, (3, 2, None)),
        ([1, 3, 2, 3], {"greater_is_better": False}, (1, 1, None)),
        ([1, 3, 2, 3, 4], {"early_stopping_patience": 2}, (4, 5, 4)),
        ([1, 3, 2, 4, 3, 3], {"early_stopping_patience": 2}, (4, 4, 6)),
        # A gain within the threshold is a new best, but no reason to go on.
        ([1, 1.5, 2], {"early_stopping_patience": 2, "early_stopping_threshold": 0.5}, (2, 3, 3)),
        (
            [1, 1.6, 2],
            {"early_stopping_patience": 2, "early_stopping_threshold": 0.5},
            (2, 3, None),
        ),
        ([NAN, 2, NAN, 1], {}, (2, 2, None)),
        ([NAN, math.inf, NAN], {"early_stopping_patience": 2}, (None, None, 2)),
    ],
)
def test_the_best_and_the_end(values, options, expected):
    assert follow(values, **options) == expected


def test_an_unknown_metric_lists_those_that_there_are():
    tracker = BestTracker(arguments("o", validation_file="v", load_best_model_at_end=True))
    with pytest.raises(InputError) as caught:
        tracker.update(1, Evaluation({"eval_exact": 1.0, "eval_f1": 1.0}), {})
    assert str(caught.value) == (
        "--metric_for_best_model loss: no such metric; use one of eval_exact, eval_f1"
    )


def run(folder, values, **options):
    """A training of at most 7 steps whose evaluations give `values`: weights before and at each."""
    model, values, seen = Table(), iter(values), []

    def evaluate():
        seen.append(values_of(model))
        return Evaluation({"eval_loss": next(values)}, len(seen))

    args = arguments(
        folder, validation_file="v", max_steps=7, eval_steps=1, logging_steps=4,
        learning_rate=0.1, **options,
    )  # fmt: skip
    before = values_of(model)
    trained = fit(model, loss, rows(), args, evaluate=evaluate)
    return before, seen, trained, model


def test_the_best_weights_are_the_last_ones(tmp_path, capsys):
    _, seen, (results, evaluation), model = run(
        tmp_path, [5, 4, 2, 3, 3, 2, 6], load_best_model_at_end=True
    )
    assert len(seen) == 7
    assert (results["best_metric"], results["best_step"]) == (2, 3)
    assert evaluation == ({"eval_loss": 2}, 3)
    found = values_of(model)
    for name, value in seen[2].items():
        np.testing.assert_array_equal(found[name], value)
        assert not np.array_equal(found[name], seen[6][name])
    assert capsys.readouterr().out.splitlines()[-1] == "best weights: those of step 3, loss 2"


def test_a_training_that_stops_early(tmp_path, capsys):
    _, seen, (results, evaluation), model = run(
        tmp_path, [3, 1, 2, 2, 2, 2, 2], early_stopping_patience=3
    )
    assert len(seen) == 5
    assert {name: results[name] for name in results if name != "train_loss"} == {
        "best_metric": 1,
        "best_step": 2,
    }
    # Without `load_best_model_at_end` the last weights stay.
    assert evaluation == ({"eval_loss": 2}, 5)
    for name, value in seen[4].items():
        np.testing.assert_array_equal(values_of(model)[name], value)
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "stopped after step 5 of 7: loss is best at step 2 (1), not better since"
    # The curve goes to the end, and so do the figures of the run.
    lines = (tmp_path / "runs/train.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "4", "5"]
    assert float(lines[-1].split(",")[2]) == pytest.approx(0.1 * 3 / 7)
    assert json.loads((tmp_path / "runs/times.json").read_text())["steps"] == 5


def test_the_end_is_no_early_stop(tmp_path, capsys):
    run(tmp_path, [1, 2, 2, 2, 2, 2, 2], early_stopping_patience=6)
    assert "stopped" not in capsys.readouterr().out


def test_a_metric_that_is_never_a_number_leaves_the_last_weights(tmp_path, capsys):
    _, seen, (results, evaluation), model = run(tmp_path, [NAN] * 7, load_best_model_at_end=True)
    assert list(results) == ["train_loss"]
    assert evaluation.predictions == 7
    np.testing.assert_array_equal(values_of(model)["bias"], seen[-1]["bias"])
    assert "loss was never a finite number: the last weights stay" in capsys.readouterr().out


def test_a_script_saves_the_best(files, checkpoint, tmp_path):
    file = files / scripts.FILES["glue"]
    out = scripts.call(
        scripts.SCRIPTS["glue"], f"--model_name_or_path={checkpoint()}", f"--train_file={file}",
        f"--validation_file={file}", f"--output_dir={tmp_path}", "--do_train", "--do_eval",
        *scripts.TRAINING, "--max_steps=6", "--eval_steps=1", "--learning_rate=0.1", "--seed=1",
        "--load_best_model_at_end", "--lr_scheduler_type=constant",
    )  # fmt: skip
    curve = np.loadtxt(tmp_path / "runs/validation.csv", delimiter=",", skiprows=1)
    header = (tmp_path / "runs/validation.csv").read_text().split("\n")[0].split(",")
    losses = curve[:, header.index("eval_loss")]
    results = scripts.results(tmp_path, "train")
    # By the loss where nothing is said; so high a rate that the last step is not the best.
    assert results["best_metric"] == losses.min() < losses[-1]
    assert results["best_step"] == losses.argmin() + 1
    assert scripts.results(tmp_path)["eval_loss"] == pytest.approx(losses.min(), rel=1e-6)
    assert f"best weights: those of step {results['best_step']}, loss" in out
    # Their reported metrics, not computed again, are those a new process finds in the folder.
    again = tmp_path / "again"
    scripts.call(
        scripts.SCRIPTS["glue"], f"--model_name_or_path={tmp_path}", f"--validation_file={file}",
        f"--output_dir={again}", "--do_eval", *scripts.TRAINING,
    )  # fmt: skip
    assert scripts.results(again) == scripts.results(tmp_path)
    predictions = "eval_predictions.json"
    assert (again / predictions).read_text() == (tmp_path / predictions).read_text()
