"""Which rows are packed together, and how long a packed row is.

Krell et al. 2021 (arXiv:2107.02027) describe packing of short sequences for encoders.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from stages.data.shapes import LENGTH_MULTIPLE

# Rows that are packed among themselves. More would fill rows a little better, and take rows further
# from their place in the order.
WINDOW = 1024
# The length of packed rows is the least at which so large a share of them is tokens, if it is at
# most `LONGEST` times the longest row: attention costs more in a longer one.
FULL = 0.95
LONGEST = 4
# Rows by which that length is chosen.
SAMPLE = 4096


class Groups(NamedTuple):
    """Which rows lie together.

    members: int64 array [rows], the numbers of rows, group after group.
    ends: int64 array [groups + 1], 0 and where each group ends in `members`.
    """

    members: np.ndarray
    ends: np.ndarray

    def sums(self, sizes: np.ndarray) -> np.ndarray:
        """The sum over each group of an int array [rows]: int64 array [groups]."""
        return np.add.reduceat(sizes[self.members], self.ends[:-1])

    def rows(self, group: int) -> np.ndarray:
        """The numbers of the rows of a group."""
        return self.members[self.ends[group] : self.ends[group + 1]]

    @property
    def counts(self) -> np.ndarray:
        """Rows of each group, int64 array [groups]."""
        return np.diff(self.ends)


def group_rows(
    sizes: Sequence[np.ndarray], room: Sequence[int], order: np.ndarray, most: int | None = None
) -> Groups:
    """Rows into as few groups as are easily found, by best fit in order of falling length.

    Within `WINDOW` rows of the order each row goes where it leaves the least room for tokens.

    Args:
        sizes: int arrays [rows]; the tokens of each row, perhaps also those of its target.
        room: how much a group holds of each.
        order: int array, the rows.
        most: rows of a group, at most (default: any number).
    """
    groups: list[list[int]] = []
    limits = list(room)
    for begin in range(0, len(order), WINDOW):
        window = order[begin : begin + WINDOW]
        needs = np.stack([size[window] for size in sizes], axis=1).tolist()
        # By the room for tokens that is left: what else is left, and places in the window.
        opened: list[list[tuple[list[int], list[int]]]] = [[] for _ in range(limits[0] + 1)]
        packed = []
        for place in np.argsort([-need[0] for need in needs], kind="stable").tolist():
            need = needs[place]
            found = _take(opened, need)
            if found is None:
                found = (limits[1:], [])
                left = limits[0]
                packed.append(found[1])
            else:
                found, left = found
            others, places = found
            places.append(place)
            if most is None or len(places) < most:
                rest = [has - wants for has, wants in zip(others, need[1:], strict=True)]
                opened[left - need[0]].append((rest, places))
        for places in packed:
            places.sort()
        groups += [window[places].tolist() for places in sorted(packed)]
    ends = np.cumsum([0, *map(len, groups)], dtype=np.int64)
    return Groups(np.fromiter(chain.from_iterable(groups), np.int64, ends[-1]), ends)


def _take(opened: list, need: list[int]) -> tuple[tuple, int] | None:
    """Remove the open group that a row fits best in; it, and its room for tokens."""
    for left in range(need[0], len(opened)):
        for number, (others, _) in enumerate(opened[left]):
            if all(has >= wants for has, wants in zip(others, need[1:], strict=True)):
                return opened[left].pop(number), left
    return None


def packed_length(lengths: np.ndarray) -> int:
    """The tokens of a packed row, for rows of these lengths; see `FULL`."""
    lengths = lengths[:SAMPLE]
    shortest = rounded(lengths.max())
    step = rounded(shortest / LENGTH_MULTIPLE)
    best, best_share = shortest, 0.0
    for length in range(shortest, LONGEST * shortest + 1, step):
        groups = group_rows([lengths], [length], np.arange(len(lengths)))
        share = lengths.sum() / (len(groups.counts) * length)
        if share > best_share:
            best, best_share = length, share
        if share >= FULL:
            break
    return best


def rounded(length: float) -> int:
    """A multiple of `LENGTH_MULTIPLE`, one at least, that is no shorter."""
    return max(1, int(-(-length // LENGTH_MULTIPLE))) * LENGTH_MULTIPLE
