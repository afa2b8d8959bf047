"""SHA-256, as hexadecimal digits."""

import hashlib
import itertools
import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

# A file may change twice within this many seconds and have the same time: FAT counts in twos.
CLOCK_TICK = 2


def checksum(parts: Iterable[bytes | ArrayLike]) -> str:
    """Of the concatenation of `parts`; an array counts as its bytes in row-major order."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else np.ascontiguousarray(part))
    return total.hexdigest()


def file_checksum(path: Path | str) -> str:
    """Of a file, which may be larger than memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_checksum(path: Path | str, pattern: str = "*") -> str:
    """Of the names and contents of all files below a folder that match `pattern`."""
    root = Path(path)
    files = sorted(file for file in root.rglob(pattern) if file.is_file())
    named = ((file.relative_to(root).as_posix().encode(), file.read_bytes()) for file in files)
    return checksum(itertools.chain.from_iterable(named))


def path_checksum(path: Path | str) -> str:
    """Of a file, or of all files below a folder.

    A file that was hashed before is read again only if the file system says that it has changed, or
    if it has changed too recently to tell.
    """
    if Path(path).is_dir():
        return folder_checksum(path)
    found = os.stat(path)
    # Of the two times a copy may set the first back, and no program the second.
    if time.time() - found.st_ctime < CLOCK_TICK:
        return file_checksum(path)
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _known_checksum(os.path.abspath(path), state)


@cache
def _known_checksum(path: str, state: tuple[int, ...]) -> str:
    """Of a file; what changes it while it is read changes its state for the next call, too."""
    return file_checksum(path)
