"""Lines of text files, with messages that name line and byte."""

import re
from pathlib import Path

from stages.core.errors import InputError

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"\r\n|\r|\n")
# How files begin that hold no plain text, and what to do with one.
_UNPACK, _EXPORT = "unpack it first", "save its text as UTF-8"
_SIGNATURES = {
    b"\x1f\x8b": ("gzip", _UNPACK),
    b"BZh": ("bzip2", _UNPACK),
    b"\xfd7zXZ\x00": ("xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("Zstandard", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("7z", _UNPACK),
    b"PK\x03\x04": ("ZIP, as Excel's and Word's files are too", "unpack it, or " + _EXPORT),
    b"PAR1": ("Parquet", "write it as JSON lines"),
    b"ARROW1": ("Arrow", "write it as JSON lines"),
    b"SQLite format 3": ("SQLite", "write it as JSON lines"),
    b"%PDF-": ("PDF", _EXPORT),
    b"\xd0\xcf\x11\xe0": ("an old Office file", _EXPORT),
    # UTF-32's mark begins with that of UTF-16.
    b"\xff\xfe\x00\x00": ("UTF-32", "save it as UTF-8"),
    b"\x00\x00\xfe\xff": ("UTF-32", "save it as UTF-8"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
}


def read_text(path: str | Path) -> str:
    """The content of a UTF-8 file, line ends as they are; a byte-order mark is dropped.

    Raises:
        InputError: no such file, an empty one, one of another kind or encoding, by its name; a
            NUL byte, or bytes that are not UTF-8, with line and byte (from 0, in the file).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    content = data[skipped:]
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse_known(path, data)
        place = _place(path, content, error.start, skipped)
        raise InputError(
            f"{place}: not UTF-8; save the file as UTF-8{_in_windows_1252(content, error.start)}"
        ) from None
    if (at := content.find(b"\0")) >= 0:
        _refuse_known(path, data)
        raise InputError(
            f"{_place(path, content, at, skipped)}: a NUL byte; this is not a text file"
        )
    return text


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends; see `read_text`."""
    lines = split_lines(read_text(path))
    if not lines[-1]:
        lines.pop()
    return lines


def split_lines(text: str) -> list[str]:
    """The lines of a text, at line feeds and carriage returns alone.

    `str.splitlines` would also cut at the Unicode separators, which occur inside sentences.
    """
    return _LINE_END.split(text)


def _refuse_known(path: str | Path, data: bytes) -> None:
    """Refuse what is no UTF-8 by the name of what it is, if its beginning says so."""
    for signature, (kind, remedy) in _SIGNATURES.items():
        if data.startswith(signature):
            raise InputError(f"{path}: not UTF-8 text but {kind}; {remedy}")
    # Without a mark: in Latin letters of UTF-16 every second byte is NUL.
    start = data[:1000]
    nul = sorted((start[0::2].count(0), start[1::2].count(0)))
    if nul[0] < 0.05 * len(start) and nul[1] > 0.2 * len(start):
        raise InputError(f"{path}: not UTF-8 text but UTF-16; save it as UTF-8")


def _in_windows_1252(content: bytes, at: int) -> str:
    """What the byte at `at` would be in Windows-1252, if all bytes are something in it."""
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return f" (the byte is {content[at : at + 1].decode('cp1252')!r} in Windows-1252)"


def _place(path: str | Path, content: bytes, at: int, skipped: int) -> str:
    before = content[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    return f"{path}, line {line}, byte {at + skipped}"
