"""Rows of a large file on their way to being checked, most of them on disk."""

import copy
import itertools
import os
import pickle
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from stages.core.files import refusing_full_disk, scratch_file
from stages.data.views import LazySequence

# Of one chunk: rows, and characters of their text.
CHUNK_ROWS = 10_000
CHUNK_SIZE = 4 * 2**20
# Bytes of all chunks that stay in memory.
MEMORY = 16 * 2**20


class Chunk(NamedTuple):
    """Rows that follow one another, and the line of each in its file."""

    rows: list[dict[str, Any]]
    lines: array


class Spool(Sequence):
    """Rows in order, appended first and then read, with the chunk last used in memory.

    The rest is pickled: in memory while it is small, else in a temporary file without a name,
    which is gone with the object or the process. A row that is read may be a copy: changes to it
    are lost.
    """

    def __init__(self):
        self._chunks = _Chunks()
        self._count = 0
        # The rows that are not in a chunk yet, and the characters of their text.
        self._open = Chunk([], array("q"))
        self._size = 0
        # The chunk last used, by its number.
        self._used = -1, Chunk([], array("q"))
        # The first row of each chunk.
        self._starts = array("q")

    def append(self, row: dict[str, Any], line: int, size: int | None = None) -> None:
        """Add a row.

        Args:
            row: picklable.
            line: where it starts in its file, from 1.
            size: the length of its text; None to find out.

        Raises:
            InputError: the disk is full.
        """
        rows, lines = self._open
        if not rows:
            self._starts.append(self._count)
        rows.append(row)
        lines.append(line)
        self._count += 1
        self._size += len(str(row)) if size is None else size
        if len(rows) >= CHUNK_ROWS or self._size >= CHUNK_SIZE:
            self._chunks.append(self._open)
            self._open, self._size = Chunk([], array("q")), 0

    @property
    def lines(self) -> "Lines":
        """The line of each row."""
        return Lines(self)

    def first(self, count: int) -> "Spool":
        """The first `count` rows, which are not copied."""
        view = copy.copy(self)
        view._count = min(count, self._count)
        return view

    def line(self, row: int) -> int:
        """The line of a row (from 0)."""
        chunk, place = self._find(row)
        return chunk.lines[place]

    def iter_lines(self) -> Iterator[int]:
        """The lines of all rows."""
        return self._iterate(lambda chunk: chunk.lines)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(self._count))]
        chunk, place = self._find(range(self._count)[index])
        return chunk.rows[place]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._iterate(lambda chunk: chunk.rows)

    def _iterate(self, part: Callable[[Chunk], Iterable]) -> Iterator:
        chunks = map(self._chunk, range(len(self._starts)))
        return itertools.islice(itertools.chain.from_iterable(map(part, chunks)), self._count)

    def _find(self, row: int) -> tuple[Chunk, int]:
        """The chunk of a row (from 0), and its place there."""
        number, chunk = self._used
        start = self._starts[number] if number >= 0 else 0
        if not start <= row < start + len(chunk.rows):
            number = bisect_right(self._starts, row) - 1
            chunk, start = self._chunk(number), self._starts[number]
        return chunk, row - start

    def _chunk(self, number: int) -> Chunk:
        if number == len(self._chunks):
            self._used = number, self._open
        elif number != self._used[0]:
            self._used = number, self._chunks[number]
        return self._used[1]


class Lines(LazySequence):
    """The line, from 1, on which each row of a spool starts; they lie on disk with the rows."""

    def __init__(self, rows: Spool):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, row: int) -> int:
        """The line of one row, from 0."""
        return self._rows.line(row)

    def __iter__(self) -> Iterator[int]:
        return self._rows.iter_lines()

    def first(self, count: int) -> "Lines":
        """Those of the first `count` rows."""
        return Lines(self._rows.first(count))


class _Chunks:
    """Pickled chunks, in memory until they are many, then in a temporary file."""

    def __init__(self):
        self._held: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None
        # Where each ends in the file.
        self._ends = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, chunk: Chunk) -> None:
        content = pickle.dumps(chunk, protocol=5)
        self._size += len(content)
        self._ends.append(self._size)
        self._held.append(content)
        if self._size <= MEMORY:
            return
        if self._file is None:
            self._file = scratch_file()
        with refusing_full_disk():
            for held in self._held:
                self._file.write(held)
            self._file.flush()
        self._held.clear()

    def __getitem__(self, number: int) -> Chunk:
        if self._file is None:
            return pickle.loads(self._held[number])
        start = self._ends[number - 1] if number else 0
        size = self._ends[number] - start
        return pickle.loads(os.pread(self._file.fileno(), size, start))
