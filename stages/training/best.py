"""The best evaluation of a training, its weights, and early stopping."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.core.errors import InputError
from stages.core.metric_names import greater_is_better
from stages.training.results import Predictions


class Evaluation(NamedTuple):
    """The result of evaluating a model.

    metrics: under their names in the results.
    predictions: gives what the task writes of them, see `stages.training.results.write_results`,
        as it is written; called only for the evaluation that is.
    """

    metrics: dict[str, float]
    predictions: Callable[[], Predictions] | None = None


class Best(NamedTuple):
    """The best evaluation so far.

    value: of the metric that decides.
    step: steps done before it.
    weights: on the host; None where they are not kept.
    evaluation: None where the run was resumed since, and the weights must be evaluated again.
    """

    value: float
    step: int
    weights: Any
    evaluation: Evaluation | None


class BestTracker:
    """Follows the evaluations of one training run.

    Args:
        args: the task's arguments. `metric_for_best_model` decides, in the direction of
            `greater_is_better`, or else of the function of that name. Of equal evaluations the
            first is the best. A value that is not finite is never the best.
    """

    def __init__(self, args):
        self.name = args.metric_for_best_model or "loss"
        self.greater = args.greater_is_better
        if self.greater is None:
            self.greater = greater_is_better(self.name)
        self.keeps_weights = args.load_best_model_at_end
        self.patience = args.early_stopping_patience
        self.threshold = args.early_stopping_threshold
        self.best: Best | None = None
        self.patience_counter = 0

    @classmethod
    def from_args(cls, args) -> "BestTracker | None":
        """A tracker where the arguments ask for the best model or for early stopping."""
        if args.load_best_model_at_end or args.early_stopping_patience is not None:
            return cls(args)
        return None

    @property
    def weights(self) -> Any:
        """The best weights so far, on the host; None where there are none, or they are not kept."""
        return None if self.best is None else self.best.weights

    def update(self, step: int, evaluation: Evaluation, params) -> None:
        """Compare the evaluation of `params`, after `step` steps, with the best so far.

        Raises:
            InputError: there is no metric of that name; lists those that there are.
        """
        value = evaluation.metrics[self._key(evaluation.metrics)]
        gain = self._gain(value)
        # As in transformers, a small gain makes a new best but does not restart the patience.
        self.patience_counter = 0 if gain > self.threshold else self.patience_counter + 1
        if gain > 0:
            # Copies: the next step is given these very arrays to overwrite.
            weights = jax.tree.map(np.array, params) if self.keeps_weights else None
            self.best = Best(value, step, weights, evaluation)

    def _key(self, metrics: dict[str, float]) -> str:
        for name in (self.name, f"eval_{self.name}"):
            if name in metrics:
                return name
        raise InputError(
            f"--metric_for_best_model {self.name}: no such metric; use one of {', '.join(metrics)}"
        )

    def _gain(self, value: float) -> float:
        """By how much `value` is better than the best so far; -inf where it is not finite."""
        if not math.isfinite(value):
            return -math.inf
        if self.best is None:
            return math.inf
        return value - self.best.value if self.greater else self.best.value - value

    def reason_to_stop(self) -> str | None:
        """Why to stop, once the patience is used up; None before."""
        if self.patience is None or self.patience_counter < self.patience:
            return None
        if self.best is None:
            return f"{self.name} was never a finite number"
        best = self.best
        return f"{self.name} is best at step {best.step} ({best.value:.6g}), not better since"

    def load_best(self, model: nnx.Module) -> Best | None:
        """Put the best weights into `model`, where `load_best_model_at_end` asks for them.

        Returns the evaluation that they belong to; None where the last weights stay.
        """
        if not self.keeps_weights:
            return None
        best = self.best
        if best is None:
            print(f"{self.name} was never a finite number: the last weights stay")
            return None
        nnx.update(model, jax.tree.map(jnp.asarray, best.weights))
        print(f"best weights: those of step {best.step}, {self.name} {best.value:.6g}")
        return best

    def state_dict(self) -> dict:
        """What a resumed run needs besides the best weights: plain data."""
        best = self.best
        return {
            "patience_counter": self.patience_counter,
            "best": None if best is None else [float(best.value), best.step],
        }

    def load_state_dict(self, state: dict, weights) -> None:
        """The inverse of `state_dict`; `weights`: the best ones, None where they are not kept."""
        self.patience_counter = state["patience_counter"]
        if state["best"] is not None:
            self.best = Best(*state["best"], weights, None)

    def results(self) -> dict[str, float]:
        """`best_metric` and `best_step` for the results; nothing where no value was finite."""
        if self.best is None:
            return {}
        return {"best_metric": self.best.value, "best_step": self.best.step}
