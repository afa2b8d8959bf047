"""Rows and tokens that are made once: kept in the user's cache, found by what they are made from.

    CACHE/rows/KIND-KEY/rows.arrow       the columns
    CACHE/rows/KIND-KEY/manifest.json    a checksum of them, and what else is known

An entry is whole or not there. It never changes, so that readers need no lock; of several processes
that want the same one, the first makes it and the others wait.
"""

import errno
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType

import pyarrow as pa
from filelock import FileLock, Timeout

import stages
from stages.core.checksums import checksum, file_checksum, folder_checksum, path_checksum
from stages.core.errors import InputError
from stages.core.files import atomic_folder
from stages.core.progress import doing
from stages.core.versions import installed_versions
from stages.data.store import Store, map_store
from stages.data.tables import Table, read_table
from stages.data.text import changed_while_read
from stages.data.writer import Build, Writer, build_store

ROWS, MANIFEST = "rows.arrow", "manifest.json"
# Entries that were not used for this many days are removed, and those unused longest where all
# together are larger than this; none of the last day.
UNUSED_DAYS = 30
MOST_BYTES = 50 * 2**30
# What opening a damaged entry raises.
UNREADABLE = (OSError, ValueError, LookupError, TypeError, pa.ArrowException)
# A cache that cannot be written at all, as on a read-only file system.
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class RowCache:
    """Stores in a folder.

    Args:
        folder: the cache; its folder `rows` holds them. Made if need be. None keeps nothing: rows
            are made for this process alone.
        overwrite: make again what is there.
    """

    def __init__(self, folder: Path | None, *, overwrite: bool = False):
        self.folder = None if folder is None else folder / "rows"
        self.overwrite = overwrite

    def file_rows(self, kind: str, path: str | Path, options: dict, build: Build) -> Store:
        """The store that `build` makes of a file, read with `options`; see `get`.

        Raises:
            InputError: also, a file that cannot be read, or that changes meanwhile.
        """
        if self.folder is None:
            return build_store(build)
        content = _content(path)

        def build_unchanged(writer: Writer) -> dict | None:
            metadata = build(writer)
            # The entry's name would say other content than it has.
            if _content(path) != content:
                raise changed_while_read(path)
            return metadata

        suffix = Path(path).suffix.lower()
        return self.get(kind, {"file": content, "suffix": suffix, **options}, build_unchanged)

    def table_rows(
        self, kind: str, path: str | Path | Table, options: dict, write: Callable[..., dict | None]
    ) -> Store:
        """The store that `write(writer, table, **options)` makes of a file with columns.

        Args:
            kind, options: as in `file_rows`.
            path: the file, or rows from elsewhere, which are not kept.
            write: checks the rows and writes them.
        """
        if isinstance(path, Table):
            return build_store(lambda writer: write(writer, path, **options))

        def build(writer: Writer) -> dict | None:
            return write(writer, read_table(path), **options)

        return self.file_rows(kind, path, options, build)

    def get(
        self, kind: str, inputs: dict, build: Build, code: Sequence[ModuleType] | None = None
    ) -> Store:
        """The store that `build` makes, or made before from the same inputs by the same code.

        Args:
            kind: what the rows are, for the folder's name.
            inputs: all that they depend on besides our code and versions, as plain data.
            build: makes them.
            code: for rows that are expensive, the modules whose change makes them again; `inputs`
                then names the versions of libraries, too. By default all that is for data and
                tasks, and the usual libraries.

        Raises:
            InputError: what `build` refuses; no room. Nothing half-made is left.
        """
        if self.folder is None:
            return build_store(build)
        made_by = _code() if code is None else [file_checksum(module.__file__) for module in code]
        key = checksum([json.dumps([kind, inputs, made_by], sort_keys=True).encode()])
        target = self.folder / f"{kind}-{key[:24]}"
        found = None if self.overwrite else self._open(target)
        if found is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(target.with_name(f".{target.name}.lock"))
            _acquire(lock, target)
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise self._refusal(error) from None
            print(
                f"{self.folder} cannot be written: rows are kept for this run alone; name another "
                "folder with --cache_dir",
                flush=True,
            )
            return build_store(build)
        with lock:
            found = None if self.overwrite else self._open(target)
            if found is None:
                self._make(target, build)
                found = _load(target, check=False)  # `_make` has just read all of it
        self._prune()
        return found

    def _make(self, target: Path, build: Build) -> None:
        try:
            with atomic_folder(target) as partial:
                writer = Writer(lambda: (partial / ROWS).open("w+b"))
                store = writer.finish(build(writer))
                manifest = {"sha256": file_checksum(partial / ROWS), "metadata": store.metadata}
                (partial / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        except (OSError, pa.ArrowException) as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> InputError:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        return InputError(
            f"{self.folder}: rows cannot be kept there ({reason}); make room, or name another "
            "folder with --cache_dir"
        )

    def _open(self, target: Path) -> Store | None:
        """An entry, if it is there and whole."""
        try:
            store = _load(target, check=True)
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            print(f"{target}: damaged ({error}), made again", flush=True)
            return None
        with suppress(OSError):
            (target / MANIFEST).touch()  # used now, for `_prune`
        return store

    def _prune(self) -> None:
        """Remove what was not used for long, what is too much, and what killed processes left."""
        for partial in self.folder.glob(".*.part"):  # as `atomic_folder` names them
            lock = partial.with_suffix(".lock")
            # Held by a process that is still at work.
            with suppress(OSError, Timeout), FileLock(lock, timeout=0):
                shutil.rmtree(partial, ignore_errors=True)
                lock.unlink()
        now = time.time()
        entries = []
        for manifest in self.folder.glob(f"*/{MANIFEST}"):
            with suppress(OSError):
                size = sum(file.stat().st_size for file in manifest.parent.iterdir())
                entries.append((manifest.stat().st_mtime, size, manifest.parent))
        total = sum(size for _, size, _ in entries)
        for used, size, folder in sorted(entries):
            days = (now - used) / 86_400
            if days > UNUSED_DAYS or (total > MOST_BYTES and days > 1):
                total -= size
                shutil.rmtree(folder, ignore_errors=True)
                folder.with_name(f".{folder.name}.lock").unlink(missing_ok=True)


def _content(path: str | Path) -> str:
    try:
        return path_checksum(path)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _load(target: Path, *, check: bool) -> Store:
    manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    if check and file_checksum(target / ROWS) != manifest["sha256"]:
        raise ValueError("cut short or changed")
    with (target / ROWS).open("rb") as file:
        return map_store(file, manifest["metadata"], manifest["sha256"])


def _acquire(lock: FileLock, target: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that makes {target}", flush=True)
        with doing("waiting for another process that makes these rows"):
            lock.acquire()


@cache
def _code() -> list:
    """What makes rows: our code for data and tasks, and the versions of libraries."""
    root = Path(stages.__file__).parent
    folders = [folder_checksum(root / name, "*.py") for name in ("core", "data", "tasks")]
    return [*folders, installed_versions()]


# For callers without a cache.
UNCACHED = RowCache(None)
