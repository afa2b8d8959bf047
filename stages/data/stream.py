"""Rows of a stream in blocks, each of them shuffled, and their batches without an end.

A block takes the way of a whole file: it is a `Table`, from which a task makes its rows, tokens and
`Batches`. It is trained on once, in an order drawn from seed and block; then comes the next one,
which is read and tokenised meanwhile. Behind the last row the stream begins again.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from stages.core.checksums import checksum
from stages.core.errors import EmptyInputError, InputError
from stages.core.progress import silent
from stages.data.batching import Batch, Batches
from stages.data.prefetch import prefetch
from stages.data.shapes import Shapes
from stages.data.shard_rows import START, Position
from stages.data.shards import Shards
from stages.data.tables import Table


class Block(NamedTuple):
    """Rows that are shuffled among themselves.

    number: of the block, from 0, on through the passes.
    position: of its first row.
    table: the rows.
    """

    number: int
    position: Position
    table: Table


class RowStream:
    """Shards in blocks of rows. Their columns are those of the first block.

    Args:
        shards: the files.
        block_rows: rows of a block; the last one of a pass may have fewer.

    Raises:
        InputError: no rows; a row of the first block that cannot be read.
    """

    def __init__(self, shards: Shards, block_rows: int):
        self.shards = shards
        self.block_rows = block_rows
        self._columns: list[str] | None = None
        self.first = next(self.blocks()).table

    def blocks(self, number: int = 0, position: Position = START) -> Iterator[Block]:
        """The blocks of pass after pass.

        Args:
            number, position: of the first one.
        """
        while True:
            rows = self.shards.named_rows(position)
            while chunk := list(islice(rows, self.block_rows)):
                behind = self.shards.position
                yield Block(number, position, self._table(chunk, continued=number > 0))
                number, position = number + 1, behind
            if position == START:
                raise InputError(f"{self.shards.name}: no rows")
            position = START

    def _table(self, chunk: list[tuple[dict[str, Any], str]], continued: bool) -> Table:
        rows, places = map(list, zip(*chunk, strict=True))
        if self._columns is None:
            self._columns = list(dict.fromkeys(name for row in rows for name in row))
        return Table(
            self.shards.name,
            self._columns,
            rows,
            places=places,
            classes=self.shards.classes,
            continued=continued,
        )


class Begun(NamedTuple):
    """A block that batches were made of.

    block: its number.
    position: of its first row.
    batches: all batches before it.
    rows: int64 array [batches of the block + 1], all rows that were trained on before each of its
        batches and behind the last; they may be pieces or groups of those of the table.
    """

    block: int
    position: Position
    batches: int
    rows: np.ndarray


class StreamBatches:
    """The batches of a stream: what `Batches` are of a file.

    They have the shapes of the first block's, and one more for the longest rows there may be.

    pass_length: None, as the length of a stream is not known.
    loss_window: of how many last batches the training's loss is the mean.

    Args:
        stream: the rows.
        make: the batches of a block's rows, of given shapes; it is called in a thread.
        first: those of the first block.
    """

    pass_length = None

    def __init__(self, stream: RowStream, make: Callable[[Table, Shapes], Batches], first: Batches):
        self._stream = stream
        self._make = make
        self._shapes = first.fixed_shapes()
        self._first = first.with_shapes(self._shapes)
        self._begun: list[Begun] = []
        self.batch_size = self._first.batch_size

    @property
    def loss_window(self) -> int:
        """Batches of the first block."""
        return len(self._first)

    def with_batch_size(self, batch_size: int) -> "StreamBatches":
        """The same rows in batches of `batch_size` rows."""
        batches = copy.copy(self)
        batches.batch_size = batch_size
        batches._first = self._first.with_batch_size(batch_size)
        batches._begun = []
        return batches

    def digest(self) -> str:
        """SHA-256 of what is known of the shards, and of the first block's rows."""
        return checksum([self._stream.shards.digest().encode(), self._first.digest().encode()])

    def endless(self, done: int = 0, position: list | None = None) -> Iterator[Batch]:
        """The batches of pass after pass, without the first `done`.

        Args:
            done: how many to leave out.
            position: what `position(done)` gave; without it all rows before are read again.
        """
        number, shards, batches, rows = position or (0, START, 0, 0)
        self._begun = []
        with closing(prefetch(self._ready(number, Position(*shards)), depth=1)) as ready:
            for block, made in ready:
                totals = rows + made.row_totals(block.number)
                self._begun.append(Begun(block.number, block.position, batches, totals))
                yield from made.training(block.number, max(0, done - batches))
                batches, rows = batches + len(made), totals[-1]

    def _ready(self, number: int, position: Position) -> Iterator[tuple[Block, Batches]]:
        for block in self._stream.blocks(number, position):
            with silent():
                try:
                    made = self._make(block.table, self._shapes) if block.number else self._first
                except EmptyInputError:  # blank lines, at the end of a shard
                    continue
            block = block._replace(table=None)  # its rows are not needed any more
            yield block, made.with_batch_size(self.batch_size)

    def position(self, done: int) -> list:
        """Where a run goes on after `done` batches: plain data for `endless`."""
        at = self._at(done)
        return [at.block, list(at.position), at.batches, int(at.rows[0])]

    def rows_seen(self, done: int) -> int:
        """Rows in the first `done` batches, each as often as it was trained on."""
        at = self._at(done)
        return int(at.rows[done - at.batches])

    def _at(self, done: int) -> Begun:
        """The block that the last one of `done` batches is of; those before it are forgotten."""
        begun = [one for one in self._begun if one.batches < done] or self._begun[:1]
        del self._begun[: self._begun.index(begun[-1])]
        return begun[-1]
