"""Columns of rows in Arrow files: mapped from the disk, and read where a row is needed.

`np.from_dlpack`, as Arrow's `to_numpy` imports pandas, see `stages.data.writer.number_array`.
"""

import mmap
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from stages.core.checksums import checksum
from stages.data.views import LazySequence


class Column(LazySequence):
    """One column of a store: texts, or lists of them.

    Args:
        store: holds it.
        name: of the column.
        limit: only the first `limit` rows.
    """

    def __init__(self, store: "Store", name: str, limit: int | None = None):
        self.store, self.name, self.limit = store, name, limit
        self.chunks = [batch.column(name) for batch in store.batches]
        if limit is not None:
            starts = np.cumsum([0, *map(len, self.chunks)])
            self.chunks = [
                chunk[: limit - start]
                for chunk, start in zip(self.chunks, starts.tolist(), strict=False)
                if start < limit
            ]
        ends = np.cumsum([len(chunk) for chunk in self.chunks], dtype=np.int64).tolist()
        self._starts = [0, *ends]

    @property
    def fingerprint(self) -> str:
        """Identifies the content."""
        return f"{self.store.fingerprint} {self.name} {self.limit}"

    def __len__(self) -> int:
        return self._starts[-1]

    def _find(self, row: int) -> tuple[int, int]:
        """The chunk of a row, and its place there."""
        chunk = bisect_right(self._starts, row) - 1
        return chunk, row - self._starts[chunk]

    def row(self, row: int) -> Any:
        """One row, from 0."""
        chunk, place = self._find(row)
        return self.chunks[chunk][place].as_py()

    def __iter__(self) -> Iterator:
        for chunk in self.chunks:
            yield from chunk.to_pylist()


class ListColumn(Column):
    """A column of lists of texts.

    lengths: int64 array [rows].
    offsets: of each chunk where its rows begin, and where the last one ends.
    """

    def __init__(self, store: "Store", name: str, limit: int | None = None):
        super().__init__(store, name, limit)
        self.offsets = [np.from_dlpack(chunk.offsets) for chunk in self.chunks]
        self.lengths = np.concatenate([np.zeros(0, np.int64), *map(np.diff, self.offsets)])


class RaggedColumn(ListColumn):
    """A column of number arrays of any length: a row is a view [length] of the mapped file.

    values: of each chunk those of all its rows, as one array.
    """

    def __init__(self, store: "Store", name: str, limit: int | None = None):
        super().__init__(store, name, limit)
        self.values = [np.from_dlpack(chunk.values) for chunk in self.chunks]

    def row(self, row: int) -> np.ndarray:
        """One row, from 0."""
        chunk, place = self._find(row)
        offsets = self.offsets[chunk]
        return self.values[chunk][offsets[place] : offsets[place + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        for offsets, values in zip(self.offsets, self.values, strict=True):
            for start, end in pairwise(offsets.tolist()):
                yield values[start:end]


class Store:
    """Rows in columns.

    Args:
        batches: their chunks.
        metadata: what else is known of them, plain data.
        fingerprint: identifies the content; by default a checksum, made when it is asked for.
    """

    def __init__(
        self, batches: list[pa.RecordBatch], metadata: dict, fingerprint: str | None = None
    ):
        self.batches = batches
        self.metadata = metadata
        self._fingerprint = fingerprint
        self.names = batches[0].schema.names if batches else []

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the rows, or what stands for it."""
        if self._fingerprint is not None:
            return self._fingerprint
        return checksum(
            memoryview(buffer)
            for batch in self.batches
            for column in batch.columns
            for buffer in column.buffers()
            if buffer is not None
        )

    def column(self, name: str, limit: int | None = None) -> Column:
        """A column of texts or of lists of them, or of rows of numbers, which is ragged."""
        kind = self.batches[0].schema.field(name).type
        if not pa.types.is_list(kind):
            return Column(self, name, limit)
        texts = pa.types.is_string(kind.value_type)
        return (ListColumn if texts else RaggedColumn)(self, name, limit)

    def numbers(self, name: str) -> np.ndarray:
        """A column of one number a row, as an array [rows] in memory."""
        return np.concatenate([np.from_dlpack(batch.column(name)) for batch in self.batches])


def map_store(file: BinaryIO, metadata: dict, fingerprint: str | None = None) -> Store:
    """The rows of an Arrow file, mapped; the file may be closed, and removed, afterwards.

    Raises:
        pa.ArrowException, OSError, ValueError: it is no such file.
    """
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = pa.ipc.open_file(pa.py_buffer(mapped))
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    return Store(batches, metadata, fingerprint)
