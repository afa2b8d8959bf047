"""Paths inside a folder, the user's folders, and writing that is complete or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from stages.core.errors import InputError, quoted


def inside(folder: Path | str, name: Path | str) -> Path:
    """The path of `name` in `folder`, which need not exist.

    To be called where the file is opened: what a link leads to counts, not what it is called.

    Raises:
        InputError: it is outside, by `..`, as an absolute path or through a link; or no path at
            all. The message begins with the name.
    """
    path = Path(folder, name)
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a zero byte
        raise InputError(
            f"{quoted(str(name))} is no path ({error}); name a file in {folder}"
        ) from None
    if not found.is_relative_to(Path(folder).resolve()):
        raise InputError(f"{quoted(str(name))} is outside {folder}; name a file in it")
    return path


def home_folder() -> Path:
    """The user's folder.

    Raises:
        InputError: HOME is not set, and the system does not know the user, as in a container that
            was started with a number for one.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise InputError(
            f"HOME is not set, and user {os.getuid()} has no folder; set HOME to one that can be "
            "written"
        ) from None


def user_cache() -> Path:
    """The project's folder in the user's cache, for what can be computed again.

    Raises:
        InputError: neither XDG_CACHE_HOME nor a home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache") / "flaxmill"


def scratch_file() -> BinaryIO:
    """A file without a name, open for writing and reading, for rows that do not fit in memory.

    It takes room in the user's cache, and in the system's folder for temporary files, which may
    itself be memory, only where that cannot be written.

    Raises:
        InputError: neither can.
    """
    try:
        folder = user_cache() / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except (OSError, InputError):
        pass
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise InputError(
            f"no folder for the rows of a large file ({error.strerror}); set XDG_CACHE_HOME to one "
            "that can be written"
        ) from None


@contextmanager
def refusing_full_disk() -> Iterator[None]:
    """To write a scratch file in: a full disk becomes one line that says how to make room."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{os.strerror(error.errno)}, while the rows of a large file were put into the cache; "
            "make room, or set XDG_CACHE_HOME to a folder on another disk"
        ) from None


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends well.

    The temporary file lies in the same folder, which is made if need be, and is removed if the
    block raises. An OSError of the temporary file, or of none in particular as that of a full
    disk, then names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and str(error.filename or temporary) == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str, *, sync: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder; it replaces the folder `path` when the block ends well.

    It lies beside `path` and is removed if the block raises, or by the next call if the process is
    killed. No other process may write the same folder at the same time.

    Args:
        path: the folder to write.
        sync: fsync all files before the folder gets its name, so that a power cut cannot leave
            the name without the bytes.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if sync:
            for file in filter(Path.is_file, temporary.rglob("*")):
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_files(folder: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder; its files replace those of their names when the block ends.

    For a library that writes into whatever file has the name already: that may be a link, and what
    it leads to would change, an entry of DVC's cache for example. Other files of `folder` stay.
    """
    folder = Path(folder)
    temporary = folder / f".{os.getpid()}.part"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in sorted(filter(Path.is_file, temporary.rglob("*"))):
            target = folder / file.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path | str, content: str) -> None:
    """Write UTF-8 text, whose lines end in line feeds on every system, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_object(path: Path | str, items: Iterable[tuple[str, Any]]) -> None:
    """Write what `write_json` does for `dict(items)`, entry by entry; each key comes once."""
    with _text_file(path) as file:
        separator = "{"
        for key, value in items:
            entry = json.dumps({key: value}, indent=1, ensure_ascii=False, allow_nan=False)
            # Without its braces and the line feed before the last.
            file.write(separator + entry[1:-2])
            separator = ","
        file.write("{}\n" if separator == "{" else "\n}\n")


def write_json_lines(path: Path | str, rows: Iterable[dict]) -> None:
    """Write one JSON object a line, row by row, atomically."""
    with _text_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def _text_file(path: Path | str) -> Iterator[TextIO]:
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        yield file
