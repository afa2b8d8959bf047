"""The outputs of an evaluation step for all rows of a data set."""

from collections.abc import Callable

import numpy as np
from flax import nnx

from stages.data.batching import Batches
from stages.data.reorder import RowColumn, RowWriter
from stages.training.loop import run_batches


def row_outputs(
    eval_step: Callable, model: nnx.Module, batches: Batches
) -> tuple[dict[str, RowColumn], dict[str, float]]:
    """Run `eval_step` on all rows.

    Args:
        eval_step: gives a dictionary; see `stages.training.step.make_eval_step`.
        model: holds the weights.
        batches: the rows.

    Returns:
        Of outputs with a leading row axis, one array a row, in the order of the rows; each keeps
        the padding of its batch. They are on disk if they are many. Of scalar outputs, the sums
        over all batches.
    """
    writers: dict[str, RowWriter] = {}
    sums: dict[str, float] = {}
    for indices, out in run_batches(eval_step, model, batches):
        for name, value in out.items():
            if not np.ndim(value):
                sums[name] = sums.get(name, 0.0) + float(value)
                continue
            if name not in writers:
                writers[name] = RowWriter(len(batches.lengths))
            writers[name].add(indices, value)
    return {name: writer.finish() for name, writer in writers.items()}, sums
