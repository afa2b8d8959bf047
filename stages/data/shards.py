"""Rows of many files, one after another: Parquet or JSON lines, on disk or behind an address.

Any row can be the first one: that of a Parquet file is found by its row group, a line by its
offset.

Not the streams of `datasets`: they read a shard from its start to get to a row in it, take their
types from its first megabytes, so that a text column with a date or a number in it changes in
between, do not name the line that is broken, and its Parquet reader aborted the process at exit.
"""

import time
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from typing import Any, BinaryIO

import pyarrow as pa

from stages.core.checksums import checksum
from stages.core.errors import InputError, quoted, shortened
from stages.data.class_names import class_name, noted_classes
from stages.data.shard_rows import (
    COMPRESSIONS,
    KINDS,
    PARQUET,
    START,
    Position,
    json_rows,
    kind_of,
    parquet_rows,
)

# How often a shard behind an address is opened again where it was, after 1, 2, 4 ... seconds.
RETRIES = 5
# What reading a damaged file raises.
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, LZMAError, pa.ArrowException)
# Where file systems keep what changes with a file's content.
VERSIONS = ("ETag", "etag", "md5Hash", "Content-MD5", "blob_id", "LastModified", "Last-Modified",
            "mtime", "mtime_ns")  # fmt: skip


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
        # Not above, nor pyarrow.parquet: every script imports this module, and few stream.
        from fsspec.implementations.local import LocalFileSystem

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
            broken = isinstance(error, pa.ArrowInvalid)
            what = "no Parquet file, or cut short" if broken else "cannot be read"
            raise InputError(f"{name}: {what} ({reason(error)})") from None
        print(f"{name}: {reason(error)}; asked again", flush=True)
        time.sleep(2 ** (tries - 1))

    def _shard_rows(self) -> Iterator[tuple[dict[str, Any], str]]:
        """The rest of the shard at `position`."""
        self._check_unchanged()
        read = parquet_rows if self.kind == PARQUET else json_rows
        with self._open() as file:
            for row, place, behind in read(file, self.names[self.position.shard], self.position):
                self.position = behind
                yield row, place
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
        import pyarrow.parquet as pq

        try:
            with self._open() as file:
                return noted_classes(pq.read_schema(file))
        except Exception as error:  # of Arrow, or of a store's own library
            raise InputError(f"{self.names[0]}: no Parquet file ({reason(error)})") from None


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
