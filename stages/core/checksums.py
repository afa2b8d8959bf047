"""SHA-256, as hexadecimal digits."""

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike


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
    """Of a file, or of all files below a folder."""
    return folder_checksum(path) if Path(path).is_dir() else file_checksum(path)
