"""Rows of many files, one after another: Parquet or JSON lines, on disk or behind an address.

Nothing but the row groups or lines at hand is in memory, and any row can be the first one: that of
a Parquet file by its row group, a line by its offset.

Not the streams of `datasets`: they read a shard from its start to get to a row in it, take their
types from its first megabytes, so that a text column with a date or a number in it changes in
between, do not name the line that is broken, and its Parquet reader aborted the process at exit.
"""

import bz2
import gzip
import io
import lzma
import time
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from stages.core.checksums import checksum
from stages.core.errors import InputError, quoted, shortened
from stages.data.json_rows import decode_row

PARQUET = ".parquet"
JSON_LINES = (".json", ".jsonl", ".ndjson")
COMPRESSIONS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
KINDS = (PARQUET, *JSON_LINES)
# Rows of Parquet that are turned into objects at once.
CHUNK = 1000
# Bytes of the longest line: a whole file that is no JSON lines is not read into memory.
LONGEST_LINE = 2**28
# Bytes of lines that are read at once.
BUFFER = 2**20
# How often a shard behind an address is opened again where it was, after 1, 2, 4 ... seconds.
RETRIES = 5
# What reading a damaged file raises.
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, pa.ArrowException)
# Where file systems keep what changes with a file's content.
VERSIONS = ("ETag", "etag", "md5Hash", "Content-MD5", "blob_id", "LastModified", "Last-Modified",
            "mtime", "mtime_ns")  # fmt: skip


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


class Shards:
    """Files with rows of the same columns.

    position: behind the row that was drawn last.

    Args:
        name: of all of them, for messages.
        filesystem: of fsspec.
        paths: in it, in the order in which they are read; of one kind.
        names: of each path, for messages; the same wherever the files lie.
        classes: columns to the names of their classes, which the rows give by number; None takes
            them from the first Parquet file, where `datasets` notes them.

    Raises:
        InputError: no path, other endings than `KINDS`, or several kinds; a file that is not there.
    """

    def __init__(
        self,
        name: str,
        filesystem,
        paths: list[str],
        names: list[str],
        classes: dict[str, list[str]] | None = None,
    ):
        self.name = name
        self.names = names
        self.position = START
        self._filesystem = filesystem
        self._remote = not isinstance(filesystem, LocalFileSystem)
        self._paths = paths
        kinds = {kind_of(one) for one in names}
        if not kinds:
            raise InputError(f"{name}: no files; expected shards {', '.join(KINDS)}")
        if None in kinds:
            odd = next(one for one in names if kind_of(one) is None)
            raise InputError(
                f"{odd}: unknown kind of shard; a stream is read from {', '.join(KINDS)}, these "
                f"also with {', '.join(COMPRESSIONS)}"
            )
        if len(kinds) > 1:
            raise InputError(f"{name}: shards of several kinds ({', '.join(sorted(kinds))})")
        (self.kind,) = kinds
        self._versions = [self._first_version(number) for number in range(len(paths))]
        self.classes = self._noted_classes() if classes is None else classes

    @property
    def size(self) -> int:
        """Bytes of all shards, as far as they are known."""
        return sum(size or 0 for size, _ in self._versions)

    def digest(self) -> str:
        """SHA-256 of names, sizes, and times or checksums, as the place where they lie has them."""
        return checksum([repr(sorted(zip(self.names, self._versions, strict=True))).encode()])

    def contents_digest(self) -> str:
        """SHA-256 of names and sizes: the same for copies."""
        sizes = [(name, size) for name, (size, _) in zip(self.names, self._versions, strict=True)]
        return checksum([repr(sizes).encode()])

    def rows(self, position: Position = START) -> Iterator[tuple[dict[str, Any], str]]:
        """The rows from `position` to the end, each with its place for a message.

        What an address does not give is asked for again, `RETRIES` times in a row.

        Raises:
            InputError: a row that cannot be read, with its place; a shard that has changed.
        """
        self.position = position
        while self.position.shard < len(self._paths):
            tries, begun = 0, self.position
            while True:
                try:
                    yield from self._shard_rows()
                    break
                except InputError:
                    raise
                except Exception as error:
                    # A store's own library has others.
                    if not (self._remote or isinstance(error, UNREADABLE)):
                        raise
                    tries = 1 if self.position != begun else tries + 1
                    begun = self.position
                    self._refuse_or_wait(error, tries)
            self.position = Position(self.position.shard + 1)

    def named_rows(self, position: Position = START) -> Iterator[tuple[dict[str, Any], str]]:
        """As `rows`, with the names of classes in place of their numbers."""
        for row, place in self.rows(position):
            for column, classes in self.classes.items():
                if column in row:
                    row[column] = class_name(row[column], classes, place)
            yield row, place

    def _refuse_or_wait(self, error: Exception, tries: int) -> None:
        name = self.names[self.position.shard]
        if _is_lasting(error) or not self._remote or tries > RETRIES:
            raise InputError(f"{name}: cannot be read ({reason(error)})") from None
        print(f"{name}: {reason(error)}; asked again", flush=True)
        time.sleep(2 ** (tries - 1))

    def _shard_rows(self) -> Iterator[tuple[dict[str, Any], str]]:
        """The rest of the shard at `position`."""
        self._check_unchanged()
        read = self._parquet_rows if self.kind == PARQUET else self._json_rows
        yield from read(self.names[self.position.shard])
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        shard = self.position.shard
        self._filesystem.invalidate_cache()
        if self._version(shard) != self._versions[shard]:
            raise InputError(f"{self.names[shard]}: has changed since this run began to read")

    def _version(self, number: int) -> tuple[int | None, str]:
        """The size of a shard, and what else changes with it."""
        info = self._filesystem.info(self._paths[number])
        found = next((str(info[key]) for key in VERSIONS if info.get(key)), "")
        return info.get("size"), found

    def _first_version(self, number: int) -> tuple[int | None, str]:
        try:
            return self._version(number)
        except Exception as error:  # of a store's own library
            raise InputError(f"{self.names[number]}: cannot be reached ({reason(error)})") from None

    def _open(self) -> BinaryIO:
        return self._filesystem.open(self._paths[self.position.shard], "rb")

    def _noted_classes(self) -> dict[str, list[str]]:
        if self.kind != PARQUET:
            return {}
        try:
            with self._open() as file:
                return class_names(pq.read_schema(file))
        except Exception as error:  # of Arrow, or of a store's own library
            raise InputError(f"{self.names[0]}: no Parquet file ({reason(error)})") from None

    def _parquet_rows(self, name: str) -> Iterator[tuple[dict[str, Any], str]]:
        shard, done, _ = self.position
        with self._open() as file:
            try:
                table = pq.ParquetFile(file)
            except pa.ArrowInvalid as error:
                raise InputError(f"{name}: no Parquet file ({reason(error)})") from None
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
                        self.position = Position(shard, place)
                        yield row, f"{name}, row {place}"

    def _json_rows(self, name: str) -> Iterator[tuple[dict[str, Any], str]]:
        shard, number, offset = self.position
        unpack = COMPRESSIONS.get(PurePosixPath(name).suffix.lower())
        with self._open() as opened, io.BufferedReader(opened, BUFFER) as raw:
            file = raw if unpack is None else unpack(raw, "rb")
            if not (unpack is None and offset and _seek(raw, offset)):
                for _ in range(number):
                    file.readline()
            while line := file.readline(LONGEST_LINE):
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
                self.position = Position(shard, number, 0 if unpack else offset)
                yield row, f"{name}, line {number}"


def _seek(file: BinaryIO, offset: int) -> bool:
    """Go to a place in a file, if it can: not every server gives parts of one."""
    try:
        file.seek(offset)
    except (ValueError, OSError):
        return False
    return True


def kind_of(name: str) -> str | None:
    """The kind of a shard by the ending of its name, in any case: `.parquet` or `.jsonl`."""
    suffixes = PurePosixPath(name.lower()).suffixes
    if suffixes and suffixes[-1] == PARQUET:
        return PARQUET
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return ".jsonl" if suffixes and suffixes[-1] in JSON_LINES else None


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes that `datasets` notes in a schema, by column."""
    import datasets

    return feature_classes(datasets.Features.from_arrow_schema(schema))


def feature_classes(features) -> dict[str, list[str]]:
    """The names of the classes of the columns that hold classes, or lists of them."""
    inner = {name: getattr(one, "feature", one) for name, one in (features or {}).items()}
    return {name: one.names for name, one in inner.items() if getattr(one, "names", None)}


def class_name(value: Any, classes: list[str], place: str) -> Any:
    """The name of a class that is given by its number, or the names of a list of them.

    -1, which means "not labelled" on the hub and in files, becomes text; what is no whole number
    stays.

    Raises:
        InputError: a number beyond the classes, with the row's place.
    """
    if isinstance(value, list):
        return [class_name(item, classes, place) for item in value]
    if not isinstance(value, int):
        return value
    if value >= len(classes):
        raise InputError(f"{place}: the class is {value}; there are {len(classes)} classes")
    return classes[value] if value >= 0 else str(value)


def _is_lasting(error: Exception) -> bool:
    """Whether asking again is in vain. fsspec says "not found" of a server that is busy, too."""
    if isinstance(error, pa.ArrowInvalid | PermissionError):
        return True
    status = getattr(error.__cause__, "status", None)
    busy = error.__cause__ is not None and status not in (401, 403, 404, 410)
    return isinstance(error, FileNotFoundError) and not busy


def reason(error: Exception) -> str:
    """What an exception says, in a line; of one that another led to, what that says."""
    error = error.__cause__ or error
    lines = str(error).strip().splitlines()
    return shortened(lines[0], 300) if lines else quoted(type(error).__name__)
