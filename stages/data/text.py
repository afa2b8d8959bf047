"""Text files block by block and line by line, with messages that name line and byte."""

import codecs
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from stages.core.errors import InputError

# Bytes read at once.
BLOCK_SIZE = 2**20

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"\r\n|\r|\n")
# What Windows-1252 leaves undefined.
_NOT_WINDOWS_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
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


def read_blocks(path: str | Path) -> Iterator[str]:
    """The content of a UTF-8 file in blocks, line ends as they are; a byte-order mark is dropped.

    Raises:
        InputError: no such file, a pipe, an empty file, one of another kind or encoding, by its
            name; a NUL byte, or bytes that are not UTF-8, with line and byte (from 0, in the
            file); a file that changes while it is read.
    """
    try:
        with Path(path).open("rb") as file:
            if not file.seekable():
                raise InputError(
                    f"{path}: a pipe, which cannot be read twice; write it to a file first"
                )
            yield from _decoded(path, file)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _decoded(path: str | Path, file: BinaryIO) -> Iterator[str]:
    before = os.fstat(file.fileno())
    # Where `data` begins in the file.
    offset = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
    file.seek(offset)
    data, filled, ended = b"", False, False
    while not ended:
        block = file.read(BLOCK_SIZE)
        ended = not block
        data += block
        filled = filled or bool(block.strip())
        try:
            text, used = codecs.utf_8_decode(data, "strict", ended)
        except UnicodeDecodeError as error:
            raise _refusal(path, file, offset + error.start) from None
        if (at := data.find(b"\0")) >= 0:
            raise _refusal(path, file, offset + at)
        if text:
            yield text
        # A character that is cut waits for the rest of it.
        data = data[used:]
        offset += used
    if not filled:
        raise InputError(f"{path}: the file is empty")
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed_while_read(path)


def changed_while_read(path: str | Path) -> InputError:
    """What to say of a file that was read while another process wrote it."""
    return InputError(
        f"{path}: changed while it was read; wait until it is complete, and run the same command "
        "again"
    )


def read_text(path: str | Path) -> str:
    """The whole content of a small UTF-8 file; see `read_blocks`."""
    return "".join(read_blocks(path))


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a UTF-8 file, without their ends; see `read_blocks`."""
    pieces: list[str] = []
    for block in unified_blocks(path):
        first, *lines = block.split("\n")
        pieces.append(first)
        if lines:
            yield "".join(pieces)
            pieces = [lines.pop()]
            yield from lines
    yield "".join(pieces)


def unified_blocks(path: str | Path) -> Iterator[str]:
    """The content in blocks, each line end a line feed, without that of the last line."""
    decoder = io.IncrementalNewlineDecoder(None, translate=True)
    end = ""
    for block in read_blocks(path):
        text = end + decoder.decode(block)
        end = "\n" if text.endswith("\n") else ""
        yield text.removesuffix("\n")
    text = end + decoder.decode("", final=True)
    yield text.removesuffix("\n")


def read_raw_lines(path: str | Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends as they are; see `read_blocks`."""
    pieces: list[str] = []
    for block in read_blocks(path):
        # The end of the block may have cut \r\n.
        if pieces and pieces[-1].endswith("\r"):
            block = pieces.pop() + block
        lines = list(io.StringIO(block, newline=""))
        last = lines.pop() if not lines[-1].endswith("\n") else ""
        if lines:
            yield "".join([*pieces, lines[0]])
            yield from lines[1:]
            pieces = []
        if last:
            pieces.append(last)
    if pieces:
        yield "".join(pieces)


def split_lines(text: str) -> list[str]:
    """The lines of a text, at line feeds and carriage returns alone.

    `str.splitlines` would also cut at the Unicode separators, which occur inside sentences.
    """
    return _LINE_END.split(text)


def _refusal(path: str | Path, file: BinaryIO, at: int) -> InputError:
    """What to say of a file whose byte at `at` is NUL or not UTF-8, after another look at it."""
    file.seek(0)
    _refuse_known(path, file.read(1000))
    line, last = 1, b""
    file.seek(0)
    for block in _bytes(file, at):
        # A \r\n is one end, also where the blocks cut it.
        line += block.count(b"\n") + block.count(b"\r") - (last + block).count(b"\r\n")
        last = block[-1:]
    place = f"{path}, line {line}, byte {at}"
    byte = file.read(1)
    if byte == b"\0":
        return InputError(f"{place}: a NUL byte; this is not a text file")
    file.seek(0)
    size = os.fstat(file.fileno()).st_size
    hint = ""
    if not any(map(_NOT_WINDOWS_1252.search, _bytes(file, size))):
        hint = f" (the byte is {byte.decode('cp1252')!r} in Windows-1252)"
    return InputError(f"{place}: not UTF-8; save the file as UTF-8{hint}")


def _bytes(file: BinaryIO, count: int) -> Iterator[bytes]:
    """The next `count` bytes of a file in blocks."""
    while count > 0 and (block := file.read(min(count, BLOCK_SIZE))):
        count -= len(block)
        yield block


def _refuse_known(path: str | Path, start: bytes) -> None:
    """Refuse what is no UTF-8 by the name of what it is, if its beginning says so."""
    for signature, (kind, remedy) in _SIGNATURES.items():
        if start.startswith(signature):
            raise InputError(f"{path}: not UTF-8 text but {kind}; {remedy}")
    # Without a mark: in Latin letters of UTF-16 every second byte is NUL.
    nul = sorted((start[0::2].count(0), start[1::2].count(0)))
    if nul[0] < 0.05 * len(start) and nul[1] > 0.2 * len(start):
        raise InputError(f"{path}: not UTF-8 text but UTF-16; save it as UTF-8")
