"""Rows to train on, to validate on and to test on, drawn by a seed."""

import random
from collections.abc import Hashable, Sequence

from stages.core.errors import InputError

# Of all rows, for each split that has no file.
SHARE = 0.1
# Groups of rows below which nothing can be held out.
FEWEST = 3


def groups_of(shared: Sequence[tuple[Hashable, ...]]) -> list[list[int]]:
    """Rows that have something in common, directly or through others, in the order of the rows.

    Args:
        shared: of each row, what it may have in common with another.
    """
    parents = list(range(len(shared)))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    first: dict[Hashable, int] = {}
    for row, keys in enumerate(shared):
        for key in keys:
            one, other = root(row), root(first.setdefault(key, row))
            parents[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = {}
    for row in range(len(shared)):
        groups.setdefault(root(row), []).append(row)
    return list(groups.values())


def hold_out(
    shared: Sequence[tuple[Hashable, ...]], splits: Sequence[str], seed: int
) -> dict[str, list[int]]:
    """The rows of `train` and of each of `splits`, in their order; a group is never parted.

    Args:
        shared: as in `groups_of`.
        splits: those without a file; each gets a tenth of the rows.
        seed: of the draw.

    Raises:
        InputError: too few groups, or one that is too large.
    """
    groups = groups_of(shared)
    wanted = max(1, round(len(shared) * SHARE))
    if len(groups) < FEWEST + len(splits):
        raise InputError(
            f"{len(shared)} rows with {len(groups)} different texts are too few to hold some out; "
            f"give a file for {' and '.join(splits)}"
        )
    random.Random(seed).shuffle(groups)
    # Of the largest group no part can be held out; it is trained on.
    groups.sort(key=lambda group: len(group) > wanted)
    taken: dict[str, list[int]] = {}
    for split in splits:
        rows: list[int] = []
        while len(rows) < wanted and groups:
            rows += groups.pop(0)
        taken[split] = sorted(rows)
    taken["train"] = sorted(row for group in groups for row in group)
    if len(taken["train"]) < len(shared) // 2:
        raise InputError(
            "most rows share a text with another, so that none can be held out; give a file for "
            f"{' and '.join(splits)}"
        )
    return taken
