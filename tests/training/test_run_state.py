"""A run's state, taken and given back."""

import jax
import numpy as np
from flax import nnx
from support.table_model import Table, arguments, loss, rows

from stages.training.best import Evaluation
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.run_state import Figures, RunState
from stages.training.step import TrainStep


def test_load_state_dict_is_the_inverse_of_state_dict(tmp_path, capsys):
    args = arguments(tmp_path, validation_file="v", load_best_model_at_end=True, logging_steps=2)
    optimizer = make_optimizer(make_schedule("linear", 0.1, 0, 9), **args.optimizer_options)
    graphdef, params = nnx.split(Table())
    step = TrainStep(graphdef, loss, optimizer, 0)
    shapes = step.shapes(params)
    run = RunState(args, steps=9, loss_window=2)
    run.train = step.init(params)
    for value, batch in zip((0.5, 0.7, 0.6), rows(2).training(0), strict=True):
        train, *sums = step(run.train, batch.arrays)
        run.advance(train, Figures(*sums, tokens=7))
        run.log(float(sums[0]), float(sums[1]), learning_rate=0.1)
        run.best.update(run.step, Evaluation({"eval_loss": value}), run.train.params)
    saved = run.state_dict()
    curve = (tmp_path / "runs/train.csv").read_bytes()
    (tmp_path / "runs/train.csv").unlink()

    resumed = RunState(args, steps=9, loss_window=2, done=3)
    resumed.load_state_dict(saved, shapes)
    assert "resuming from step 3 of 9" in capsys.readouterr().out
    assert (tmp_path / "runs/train.csv").read_bytes() == curve
    assert resumed.step == 3
    assert resumed.train_loss() == run.train_loss()
    assert resumed.best.results() == {"best_metric": 0.5, "best_step": 1}
    again = resumed.state_dict()
    # Time goes on.
    assert again["logger"].pop("seconds") >= saved["logger"].pop("seconds")
    for name, array in saved.pop("arrays").items():
        np.testing.assert_array_equal(again["arrays"].pop(name), array)
    assert again == {**saved, "arrays": {}}
    assert jax.tree.structure(resumed.train) == jax.tree.structure(run.train)
