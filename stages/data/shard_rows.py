"""The rows of one shard, Parquet or JSON lines, from any row on.

Nothing but the rows or lines at hand is in memory.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from stages.core.errors import InputError
from stages.data.json_rows import decode_row
from stages.data.writer import CHUNK

PARQUET = ".parquet"
JSON_LINES = (".json", ".jsonl", ".ndjson")
COMPRESSIONS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
KINDS = (PARQUET, *JSON_LINES)
# Bytes of lines that are read at once.
BUFFER = 2**20
# Bytes of the longest line: a whole file that is no JSON lines is not read into memory.
LONGEST_LINE = 2**28


class Position(NamedTuple):
    """A place between two rows of shards: plain numbers.

    shard: from 0.
    row: rows, or lines, of it that lie before.
    offset: bytes of it that lie before; 0 where that is not known.
    """

    shard: int = 0
    row: int = 0
    offset: int = 0


START = Position()


class ShardRow(NamedTuple):
    """A row of a shard.

    row: its values.
    place: for a message.
    behind: the position behind it.
    """

    row: dict[str, Any]
    place: str
    behind: Position


def kind_of(name: str) -> str | None:
    """The kind of a shard by the ending of its name, in any case: `.parquet` or `.jsonl`."""
    suffixes = PurePosixPath(name.lower()).suffixes
    if suffixes and suffixes[-1] == PARQUET:
        return PARQUET
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return ".jsonl" if suffixes and suffixes[-1] in JSON_LINES else None


def parquet_rows(file: BinaryIO, name: str, position: Position) -> Iterator[ShardRow]:
    """The rows of a Parquet file from `position` on; row groups before it are not read.

    Args:
        file: open, and closed by the caller.
        name: of it, for messages.
        position: of the first row.

    Raises:
        pa.ArrowException, OSError: no such file, or a damaged one.
    """
    import pyarrow.parquet as pq  # not above, see `Shards`

    shard, done, _ = position
    table = pq.ParquetFile(file)
    number = 0
    for group in range(table.num_row_groups):
        if number + table.metadata.row_group(group).num_rows <= done:
            number += table.metadata.row_group(group).num_rows
            continue
        # Without threads of Arrow's own, which would outlive a run that ends in between.
        for chunk in table.iter_batches(CHUNK, row_groups=[group], use_threads=False):
            first, number = number, number + len(chunk)
            if number <= done:
                continue
            first = max(first, done)
            rows = chunk.slice(len(chunk) - (number - first)).to_pylist()
            for place, row in enumerate(rows, first + 1):
                yield ShardRow(row, f"{name}, row {place}", Position(shard, place))


def json_rows(file: BinaryIO, name: str, position: Position) -> Iterator[ShardRow]:
    """The objects of JSON lines from `position` on; lines before it are skipped, if need be read.

    Args:
        file, name, position: as in `parquet_rows`.

    Raises:
        InputError: what `decode_row` refuses, with the line; a line that is too long, or no UTF-8.
        OSError, EOFError, ValueError: a file that cannot be unpacked.
    """
    shard, number, offset = position
    unpack = COMPRESSIONS.get(PurePosixPath(name).suffix.lower())
    raw = io.BufferedReader(file, BUFFER)
    lines = raw if unpack is None else unpack(raw, "rb")
    if not (unpack is None and offset and _seek(raw, offset)):
        for _ in range(number):
            lines.readline()
    while line := lines.readline(LONGEST_LINE):
        number, offset = number + 1, offset + len(line)
        if len(line) == LONGEST_LINE:
            raise InputError(f"{name}, line {number}: too long; expected a row a line")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{name}, line {number}: not UTF-8 ({error})") from None
        row = decode_row(name, text, number)
        yield ShardRow(
            row, f"{name}, line {number}", Position(shard, number, 0 if unpack else offset)
        )


def _seek(file: BinaryIO, offset: int) -> bool:
    """Go to a place in a file, if it can: not every server gives parts of one."""
    try:
        file.seek(offset)
    except (ValueError, OSError):
        return False
    return True
