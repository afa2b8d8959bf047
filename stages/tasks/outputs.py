"""The outputs of an evaluation step for all rows of a data set."""

from collections.abc import Callable

import numpy as np
from flax import nnx

from stages.data.batching import Batches
from stages.training.loop import run_batches


def row_outputs(
    eval_step: Callable, model: nnx.Module, batches: Batches
) -> tuple[dict[str, list[np.ndarray]], dict[str, float]]:
    """Run `eval_step` on all rows.

    Args:
        eval_step: gives a dictionary; see `stages.training.step.make_eval_step`.
        model: holds the weights.
        batches: the rows.

    Returns:
        Of outputs with a leading row axis, one array a row, in the order of the rows; each keeps
        the padding of its batch. Of scalar outputs, the sums over all batches.
    """
    rows: dict[str, list[np.ndarray]] = {}
    sums: dict[str, float] = {}
    for indices, out in run_batches(eval_step, model, batches):
        for name, value in out.items():
            if not np.ndim(value):
                sums[name] = sums.get(name, 0.0) + float(value)
                continue
            column = rows.setdefault(name, [np.zeros(0)] * len(batches.lengths))
            for index, entry in zip(indices, value, strict=True):
                if index >= 0:
                    column[index] = entry
    return rows, sums
