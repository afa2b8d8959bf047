"""The lengths of ragged rows, and the few that batches of them are padded to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Lengths are rounded up to a multiple of this many tokens. It bounds the padding of a row, and is
# small enough that a handful of buckets follow any distribution closely.
LENGTH_MULTIPLE = 8


class Shapes(NamedTuple):
    """The shapes of batches: the padded length of each bucket, and of each target column in it.

    lengths: ascending.
    targets: by column, as long as `lengths`, never shorter in a longer bucket.
    """

    lengths: list[int]
    targets: dict[str, np.ndarray]


def bucket_lengths(
    lengths: np.ndarray, count: int, *, saving: int = 0, full: int | None = None
) -> list[int]:
    """The at most `count` padded lengths that waste the fewest tokens on `lengths`.

    Args:
        lengths: int array [rows], the tokens of each row.
        count: the most different lengths.
        saving: each length beyond the first must save at least this many padded tokens.
        full: pad every row to this length instead.

    Returns:
        Ascending multiples of `LENGTH_MULTIPLE`, the last one no shorter than the longest row.
    """
    if full is not None:
        return [full]
    rounded = -(-np.maximum(lengths, 1) // LENGTH_MULTIPLE)
    sizes, rows = np.unique(rounded, return_counts=True)
    before = np.concatenate([[0], np.cumsum(rows)])
    # cost[k][j]: padded tokens of the first j sizes in k + 1 buckets, the last ending at size j.
    cost = [sizes * before[1:]]
    back = []
    for _ in range(min(count, len(sizes)) - 1):
        options = np.full((len(sizes), len(sizes)), np.inf)
        for j in range(1, len(sizes)):
            options[j, :j] = cost[-1][:j] + sizes[j] * (before[j + 1] - before[1 : j + 1])
        back.append(options.argmin(axis=1))
        cost.append(np.minimum(options.min(axis=1), cost[-1]))
        back[-1][cost[-1] == cost[-2]] = -1
    # Costs are in units of `LENGTH_MULTIPLE` tokens.
    used = np.argmin([row[-1] * LENGTH_MULTIPLE + saving * k for k, row in enumerate(cost)])
    chosen, j = [], len(sizes) - 1
    for previous in [*reversed(back[:used]), None]:
        if previous is not None and previous[j] < 0:
            continue
        chosen.append(int(sizes[j]) * LENGTH_MULTIPLE)
        if previous is not None:
            j = int(previous[j])
    return sorted(chosen)


def row_lengths(column: Sequence) -> np.ndarray:
    """The length of each entry, int64 array [rows]."""
    if hasattr(column, "lengths"):  # of a store, which knows them without its rows
        return column.lengths
    return np.array([len(entry) for entry in column], dtype=np.int64)
