"""All that a training run carries from one step to the next."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from stages.training.best import BestTracker
from stages.training.logger import Logger
from stages.training.step import TrainState

TRAIN, BEST = "state", "best"


class Figures(NamedTuple):
    """Sum of losses and count of one step, still on the device, and its number of real tokens."""

    total: jax.Array
    count: jax.Array
    tokens: int


class RunState:
    """Steps done, weights and optimiser, curves, recent losses and the best evaluation.

    Args:
        args: the task's arguments.
        steps: steps of the whole run.
        loss_window: of how many last steps `train_loss` is the mean: those of a pass.
        done: steps that an earlier process did, from whose state this one resumes.
        position: gives the place in the data after a number of steps, plain data.
        judged_by: the metrics of an evaluation that are printed.
    """

    def __init__(
        self,
        args,
        steps: int,
        loss_window: int,
        done: int = 0,
        position: Callable[[int], list | None] = lambda step: None,
        judged_by: Sequence[str] = (),
    ):
        run_dir = args.run_dir or f"{args.output_dir}/runs"
        self.step = done
        self._position = position
        self.train: TrainState | None = None
        plots_dir = args.plots_dir or run_dir
        self.logger = Logger(steps, args.logging_steps, plots_dir, run_dir, done, judged_by)
        self.best = BestTracker.from_args(args)
        self.recent: deque[tuple[float, float]] = deque(maxlen=loss_window)
        # Of the last step, until they are logged.
        self.figures: Figures | None = None

    def advance(self, train: TrainState, figures: Figures) -> None:
        """Count one step."""
        self.step += 1
        self.train, self.figures = train, figures

    def log(self, total: float, count: float, learning_rate: float) -> None:
        """Log the last step, with its figures on the host."""
        self.logger.log_step(self.step, total, count, self.figures.tokens, learning_rate)
        self.recent.append((total, count))
        self.figures = None

    def train_loss(self) -> float:
        """The mean over everything scored in the last pass, or in the whole run, if shorter.

        Of a stream a block as long as the first one is taken for a pass.
        """
        totals = np.array(self.recent, np.float64)
        return float(totals[:, 0].sum() / max(totals[:, 1].sum(), 1.0))

    def state_dict(self) -> dict:
        """What a resumed run needs, once the last step is logged.

        `step`; `arrays`, by name, copied to the host; plain data under the other keys.
        """
        arrays = to_arrays(self.train, TRAIN)
        if self.best is not None and self.best.weights is not None:
            arrays |= to_arrays(self.best.weights, BEST)
        return {
            "step": self.step,
            "position": self._position(self.step),
            "arrays": arrays,
            "logger": self.logger.state_dict(),
            "recent": list(self.recent),
            "best": None if self.best is None else self.best.state_dict(),
        }

    def load_state_dict(self, state: dict, shapes: TrainState) -> None:
        """The inverse of `state_dict`; the arrays of `train` are then on the host.

        `shapes` is a state of the same structure, of whose arrays only the paths are used.
        """
        arrays = state["arrays"]
        self.step = state["step"]
        self.train = from_arrays(shapes, arrays, TRAIN)
        self.logger.load_state_dict(state["logger"])
        self.recent.extend(map(tuple, state["recent"]))
        if self.best is not None:
            kept = any(name.startswith(BEST) for name in arrays)
            weights = from_arrays(shapes.params, arrays, BEST) if kept else None
            self.best.load_state_dict(state["best"], weights)


def to_arrays(tree, prefix: str) -> dict[str, np.ndarray]:
    """The arrays of `tree`, copied to the host, under `prefix` and their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    # Copies: the next step is given these very arrays to overwrite.
    return {prefix + jax.tree_util.keystr(path): np.array(array) for path, array in leaves}


def from_arrays(shapes, arrays: dict[str, np.ndarray], prefix: str):
    """The inverse of `to_arrays`; `shapes` is a tree of the same structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    arrays = [arrays[prefix + jax.tree_util.keystr(path)] for path, _ in leaves]
    return jax.tree_util.tree_unflatten(structure, arrays)
