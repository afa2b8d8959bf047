"""Rows into columns of an Arrow file, chunk by chunk."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from stages.core.files import refusing_full_disk, scratch_file
from stages.data.store import Store, map_store

# Rows of this process alone stay in memory up to this many bytes.
IN_MEMORY = 16 * 2**20
# Rows read, tokenised or written at once: enough to keep the tokenizer's threads busy, little
# memory.
CHUNK = 1000


def in_chunks(rows: Iterable, size: int = CHUNK) -> Iterator[list]:
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

    def finish(self, metadata: dict | None) -> Store:
        """The store of all that was written."""
        if self._file is None:
            return Store(self._held, metadata or {})
        self._flush()
        self._arrow.close()
        self._file.flush()
        return map_store(self._file, metadata or {})


# Writes all chunks, and returns what else is to be known of the rows, as plain data.
Build = Callable[[Writer], dict | None]


def build_store(build: Build) -> Store:
    """The rows that `build` writes, for this process alone.

    Raises:
        InputError: what `build` refuses; the disk is full.
    """
    writer = Writer(scratch_file, IN_MEMORY)
    with refusing_full_disk():
        return writer.finish(build(writer))
