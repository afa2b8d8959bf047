"""Columns of rows in Arrow files: mapped from the disk, and read where a row is needed."""

import mmap
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from stages.core.checksums import checksum
from stages.core.files import refusing_full_disk, scratch_file

# Rows of this process alone stay in memory up to this many bytes.
IN_MEMORY = 16 * 2**20


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
    """

    def __init__(self, store: "Store", name: str, limit: int | None = None):
        super().__init__(store, name, limit)
        self.lengths = _lengths([np.from_dlpack(chunk.offsets) for chunk in self.chunks])


class RaggedColumn(Column):
    """A column of number arrays of any length: a row is a view [length] of the mapped file.

    lengths: int64 array [rows].
    parts: of each chunk the offsets of its rows, and the values of all, as arrays.
    """

    def __init__(self, store: "Store", name: str, limit: int | None = None):
        super().__init__(store, name, limit)
        self.parts = [
            (np.from_dlpack(chunk.offsets), np.from_dlpack(chunk.values))
            for chunk in self.chunks
        ]
        self.lengths = _lengths([offsets for offsets, _ in self.parts])

    def row(self, row: int) -> np.ndarray:
        """One row, from 0."""
        chunk, place = self._find(row)
        offsets, values = self.parts[chunk]
        return values[offsets[place] : offsets[place + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        for offsets, values in self.parts:
            for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                yield values[start:end]


def _lengths(offsets: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *map(np.diff, offsets)])


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


def in_chunks(rows: Iterable, size: int) -> Iterator[list]:
    """The rows in lists of `size`, the last one shorter."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def text_array(texts: Iterable[str | None]) -> pa.Array:
    """Texts for `Writer.write`."""
    builder = pa.lib.StringBuilder()  # not `pa.array`, see `number_array`
    builder.append_values(texts)
    return builder.finish()


def number_array(numbers: np.ndarray) -> pa.Array:
    """An array of numbers for `Writer.write`.

    Not by `pa.array`: it imports pandas, a third of a second, whatever it is given. So does
    `to_numpy` on the way back, and `np.from_dlpack` does not.
    """
    content = pa.py_buffer(np.ascontiguousarray(numbers))
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), len(numbers), [None, content])


def ragged_array(rows: Sequence[Sequence], dtype: np.dtype | type) -> pa.Array:
    """Rows of numbers, as lists or arrays of any length, for `Writer.write`."""
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    if len(rows) and isinstance(rows[0], np.ndarray):
        values = np.concatenate(rows, dtype=dtype, casting="unsafe")
    else:
        values = np.fromiter(chain.from_iterable(rows), dtype, int(offsets[-1]))
    return pa.ListArray.from_arrays(number_array(offsets), number_array(values))


class Writer:
    """Takes chunks of rows, all with the same columns, and makes a `Store` of them.

    Args:
        open_file: gives the file to write, open for reading too; called once it is needed.
        in_memory: bytes that are kept without a file.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], in_memory: int = 0):
        self.rows = 0
        self._open_file = open_file
        self._in_memory = in_memory
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0
        self._file: BinaryIO | None = None
        self._arrow: pa.RecordBatchFileWriter | None = None

    def write(self, columns: dict[str, pa.Array | np.ndarray]) -> None:
        """Add rows: what `text_array` and `ragged_array` make, or arrays of one number a row."""
        arrays = [
            number_array(column) if isinstance(column, np.ndarray) else column
            for column in columns.values()
        ]
        batch = pa.record_batch(arrays, list(columns))
        self.rows += batch.num_rows
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > self._in_memory:
            self._flush()

    def _flush(self) -> None:
        for batch in self._held:
            if self._arrow is None:
                self._file = self._open_file()
                self._arrow = pa.ipc.new_file(pa.PythonFile(self._file, "w"), batch.schema)
            self._arrow.write_batch(batch)
        self._held.clear()

    def finish(self, metadata: dict | None) -> "Store":
        """The store of all that was written."""
        if self._file is None:
            return Store(self._held, metadata or {})
        self._flush()
        self._arrow.close()
        self._file.flush()
        return map_store(self._file, metadata or {})


# Writes all chunks, and returns what else is to be known of the rows, as plain data.
Build = Callable[[Writer], dict | None]


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


def build_store(build: Build) -> Store:
    """The rows that `build` writes, for this process alone.

    Raises:
        InputError: what `build` refuses; the disk is full.
    """
    writer = Writer(scratch_file, IN_MEMORY)
    with refusing_full_disk():
        return writer.finish(build(writer))


def map_store(file: BinaryIO, metadata: dict, fingerprint: str | None = None) -> Store:
    """The rows of an Arrow file, mapped; the file may be closed, and removed, afterwards.

    Raises:
        pa.ArrowException, OSError, ValueError: it is no such file.
    """
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = pa.ipc.open_file(pa.py_buffer(mapped))
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    return Store(batches, metadata, fingerprint)
