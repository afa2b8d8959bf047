"""Rows that are made, looked up or changed when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from stages.core.checksums import checksum


class LazySequence(Sequence):
    """Rows that are made when they are asked for; equal to a list of the same rows.

    A subclass defines `__len__` and `row`; a slice is a list.
    """

    def row(self, row: int) -> Any:
        """One row, from 0."""
        raise NotImplementedError

    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self.row(index) for index in range(*row.indices(len(self)))]
        return self.row(range(len(self))[row])

    def __iter__(self) -> Iterator:
        return map(self.row, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None


class Constant(LazySequence):
    """Rows of the same number, int32 arrays of the `lengths` [rows] of other rows."""

    def __init__(self, number: int, lengths: np.ndarray):
        self.lengths = lengths
        self.fingerprint = f"constant {number}"
        self._longest = np.full(int(lengths.max(initial=0)), number, np.int32)

    def __len__(self) -> int:
        return len(self.lengths)

    def row(self, row: int) -> np.ndarray:
        """One row, from 0."""
        return self._longest[: self.lengths[row]]


def ones(lengths: np.ndarray) -> Constant:
    """The attention mask of rows that are not padded: as many ones as each row has tokens."""
    return Constant(1, lengths)


class Mapped(LazySequence):
    """What `function` makes of each row of a column.

    Args:
        column: the rows.
        function: called each time a row is read.
        fingerprint: identifies what it makes, together with the column's own.
        lengths: those of the rows, where a batch needs them.
    """

    def __init__(
        self,
        column: Sequence,
        function: Callable,
        fingerprint: str = "",
        lengths: np.ndarray | None = None,
    ):
        self._column, self._function, self._name = column, function, fingerprint
        if lengths is not None:
            self.lengths = lengths

    @property
    def fingerprint(self) -> str:
        """Identifies the content."""
        return f"{self._column.fingerprint} {self._name}"

    def __len__(self) -> int:
        return len(self._column)

    def row(self, row: int) -> Any:
        """One row, from 0."""
        return self._function(self._column[row])

    def __iter__(self) -> Iterator:
        return map(self._function, self._column)


class Picked(LazySequence):
    """Some rows of a column.

    lengths: of these rows, int64 array, where the column has them.

    Args:
        column: all rows.
        rows: int array, the numbers of those to take, in their order.
    """

    def __init__(self, column: Sequence, rows: np.ndarray):
        self._column, self._rows = column, rows
        if hasattr(column, "lengths"):
            self.lengths = column.lengths[rows]

    @property
    def fingerprint(self) -> str:
        """Identifies the content."""
        return f"{self._column.fingerprint} {checksum([self._rows])}"

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, row: int) -> Any:
        """One row, from 0."""
        return self._column[int(self._rows[row])]

    def __iter__(self) -> Iterator:
        return map(self._column.__getitem__, self._rows.tolist())
