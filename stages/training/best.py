"""Which evaluation of a training was the best, its weights, and when to stop for want of better."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.core.errors import InputError

# Metrics of which less is better; a metric's name ends with one of these.
LOWER_IS_BETTER = ("loss", "perplexity", "bits_per_byte", "wer", "cer", "mse")


def greater_is_better(metric: str) -> bool:
    """Whether more of `metric` is better, by its name: `eval_f1` yes, `eval_loss` no."""
    return not any(f"_{metric}".endswith(f"_{name}") for name in LOWER_IS_BETTER)


class Evaluation(NamedTuple):
    """What evaluating a model gave: its metrics, and its predictions as the task writes them."""

    metrics: dict[str, float]
    predictions: Any = None


class Best(NamedTuple):
    """The best evaluation so far.

    value: of the metric that decides.
    step: after which it was.
    weights: on the host; None where they are not kept.
    evaluation: what it gave; None where the run was cut off since, and it has to be made again.
    """

    value: float
    step: int
    weights: Any
    evaluation: Evaluation | None


class Selection:
    """Follows the evaluations of one training run.

    Args:
        args: the task's arguments. Better is more or less of `metric_for_best_model`, as
            `greater_is_better` says; of evaluations that are equal the first is the best. A
            value that is not finite is never the best.
    """

    def __init__(self, args):
        self.name = args.metric_for_best_model or "loss"
        self.greater = args.greater_is_better
        self.keeps_weights = args.load_best_model_at_end
        self.patience = args.early_stopping_patience
        self.threshold = args.early_stopping_threshold
        self.best: Best | None = None
        self.without_better = 0

    @classmethod
    def of(cls, args) -> "Selection | None":
        """A selection where the arguments ask for one."""
        if args.load_best_model_at_end or args.early_stopping_patience is not None:
            return cls(args)
        return None

    def see(self, step: int, evaluation: Evaluation, params) -> None:
        """Take in the evaluation of `params` after `step` steps.

        Raises:
            InputError: there is no metric of that name; lists those that there are.
        """
        value = evaluation.metrics[self._key(evaluation.metrics)]
        gain = self._gain(value)
        # As in transformers, a small gain makes a new best but does not restart the patience.
        self.without_better = 0 if gain > self.threshold else self.without_better + 1
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
        """By how much `value` is better than the best so far; -inf where it is no number."""
        if not math.isfinite(value):
            return -math.inf
        if self.best is None:
            return math.inf
        greater = greater_is_better(self.name) if self.greater is None else self.greater
        return value - self.best.value if greater else self.best.value - value

    def reason_to_stop(self) -> str | None:
        """What to say when the patience is at its end; None while it is not."""
        if self.patience is None or self.without_better < self.patience:
            return None
        if self.best is None:
            return f"{self.name} was never a finite number"
        best = self.best
        return f"{self.name} is best at step {best.step} ({best.value:.6g}), not better since"

    def restore(self, model: nnx.Module) -> Best | None:
        """Give `model` the best weights, where `load_best_model_at_end` asks for them.

        Returns what they are the best of; None where the last weights stay.
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

    def notes(self) -> dict:
        """What a run that goes on from here has to know beside the best weights: plain data."""
        best = self.best
        return {
            "without_better": self.without_better,
            "best": None if best is None else [float(best.value), best.step],
        }

    def go_on(self, notes: dict, weights) -> None:
        """Take up what `notes` gave, and the best weights, where they are kept."""
        self.without_better = notes["without_better"]
        if notes["best"] is not None:
            self.best = Best(*notes["best"], weights, None)

    def results(self) -> dict[str, float]:
        """`best_metric` and `best_step` for the results; nothing where no value was finite."""
        if self.best is None:
            return {}
        return {"best_metric": self.best.value, "best_step": self.best.step}
