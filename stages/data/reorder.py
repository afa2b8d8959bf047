"""Arrays of rows that come in another order: kept on disk as they come, read by row."""

from collections.abc import Sequence

import numpy as np

from stages.core.files import refusing_full_disk, scratch_file
from stages.data.store import RaggedColumn
from stages.data.views import LazySequence
from stages.data.writer import CHUNK, IN_MEMORY, Writer, ragged_array


class RowWriter:
    """Takes the rows of a data set batch by batch.

    Args:
        rows: how many the data set has.
    """

    def __init__(self, rows: int):
        self.positions = np.full(rows, -1, np.int64)
        self._count = 0
        self._writer = Writer(scratch_file, IN_MEMORY)
        self._held: list[np.ndarray] = []
        self._tail: tuple[int, ...] = ()

    def add(self, indices: np.ndarray, values: Sequence[np.ndarray]) -> None:
        """Add an array for each row in `indices`; those of padding rows, -1, are left out.

        The arrays of all rows have the same number of axes, and differ in the first one alone.
        """
        for index, value in zip(indices, values, strict=True):
            if index >= 0:
                self.positions[index] = self._count
                self._count += 1
                self._tail = value.shape[1:]
                self._held.append(value.reshape(-1))
        if len(self._held) >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            with refusing_full_disk():
                self._writer.write({"values": ragged_array(self._held, self._held[0].dtype)})
            self._held = []

    def finish(self) -> "RowColumn":
        """The arrays, in the order of the rows."""
        self._flush()
        return RowColumn(self._writer.finish(None).column("values"), self.positions, self._tail)


class RowColumn(LazySequence):
    """An array for each row of a data set."""

    def __init__(self, column: RaggedColumn, positions: np.ndarray, tail: tuple[int, ...]):
        self._column, self._positions, self._tail = column, positions, tail

    def __len__(self) -> int:
        return len(self._positions)

    def row(self, row: int) -> np.ndarray:
        """One row, from 0."""
        return self._column[int(self._positions[row])].reshape(-1, *self._tail)
