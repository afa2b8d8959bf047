"""The objects of JSON files, each with its line."""

import itertools
import json
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.core.strict_json import unique_keys
from stages.data.json_stream import Document, JsonError
from stages.data.text import read_lines, unified_blocks

# What text decoded from UTF-8 does not hold, and an escape may: half of a character, NUL.
_ODD = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


def read_objects(path: str | Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The rows of a JSON file: objects one a line, in one array, or in the array `data` of one.

    `NaN` and `Infinity` are read as floats, as the json module does.

    Returns:
        Each object with the line, from 1, on which it starts.

    Raises:
        InputError: what `read_lines` refuses; broken JSON, a key that is given twice, half of a
            surrogate pair or a NUL, with its line; a row that is no object; no rows.
    """
    for row, line, _ in read_sized_objects(path):
        yield row, line


def read_sized_objects(path: str | Path) -> Iterator[tuple[dict[str, Any], int, int]]:
    """As `read_objects`, with the length of the row's text as a third."""
    found = None
    for found in (_of_lines if _is_json_lines(path) else _of_document)(path):
        row, line, text = found
        _check_row(path, row, line, text)
        yield row, line, len(text)
    if found is None:
        raise InputError(f"{path}: no rows")


def decode_row(path: str | Path, text: str, line: int) -> dict[str, Any]:
    """The row that a line of a file holds.

    Raises:
        InputError: as `read_objects`.
    """
    row = _decode(path, text, line)
    _check_row(path, row, line, text)
    return row


def _check_row(path: str | Path, row: Any, line: int, text: str) -> None:
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {line}: expected an object {{...}} for each row")
    if "\\u" in text and _ODD.search(text):
        _check_characters(path, row, line)


def holds_json(path: str | Path) -> bool:
    """Whether the lines of a file are those of JSON objects, whatever its name says.

    Raises:
        InputError: what `read_lines` refuses, as far as the file must be read to tell.
    """
    first = _Lines(unified_blocks(path)).filled()
    start = next(first, "")
    if start[:1] not in ("{", "["):
        return False
    if (whole := _scan(itertools.chain([start], first))) and whole.kind == "{":
        return True
    whole = Document(unified_blocks(path))
    count = 0
    try:
        for row, _, _ in whole.rows():
            count += 1
            if whole.kind == "[" and not isinstance(row, dict):
                return False
    except JsonError:
        return False
    return whole.kind == "{" or count > 0


def _is_json_lines(path: str | Path) -> bool:
    """Whether every line is a row; otherwise the whole file is one document."""
    lines = _Lines(unified_blocks(path))
    line = lines.filled()
    first = _scan(line)
    deque(line, maxlen=0)
    line = lines.filled()
    # Nothing is read of the second line but whether there is one.
    start = next(line, None)
    if first is not None and first.kind == "{":
        return start is not None or not first.has_rows
    # If the first row is broken, the message must name its line. But a document, too, may have a
    # complete object on its second line.
    second = None if start is None else _scan(itertools.chain([start], line))
    if second is None or second.kind != "{":
        return False
    whole = _scan(unified_blocks(path))
    return whole is None or whole.kind not in ("{", "[")


class _Lines:
    """The lines of a text in blocks, each in pieces: a line may be all of a large file."""

    def __init__(self, blocks: Iterator[str]):
        self._blocks = blocks
        self._block: str | None = ""
        self._at = 0

    def filled(self) -> Iterator[str]:
        """The pieces of the next line that holds something, without blanks around it; or none.

        They must be used up before the next line is asked for.
        """
        while self._block is not None:
            pieces = self._pieces()
            for piece in pieces:
                if piece.strip():
                    return itertools.chain([piece.lstrip()], pieces)
        return iter(())

    def _pieces(self) -> Iterator[str]:
        blanks, end = "", -1
        while self._block is not None and end < 0:
            end = self._block.find("\n", self._at)
            piece = blanks + self._block[self._at : None if end < 0 else end]
            if end < 0:
                self._block, self._at = next(self._blocks, None), 0
            else:
                self._at = end + 1
            filled = piece.rstrip()
            # Dropped if the line ends with them.
            blanks = piece[len(filled) :]
            yield filled


def _scan(blocks: Iterator[str]) -> Document | None:
    """The JSON text in `blocks`, used up; None if it is none."""
    document = Document(blocks)
    try:
        deque(document.rows(), maxlen=0)
    except JsonError:
        return None
    return document


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


def _of_lines(path: str | Path) -> Iterator[tuple[Any, int, str]]:
    """The value on each line that holds something, with its line and text."""
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            yield _decode(path, line, number), number, line


def _decode(path: str | Path, text: str, line: int) -> Any:
    """The JSON value of `text`, which is line `line` of the file."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {line}: not JSON ({error.msg}, column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: cannot be read as JSON ({error})") from None


def _of_document(path: str | Path) -> Iterator[tuple[Any, int, str]]:
    """The rows, each with its line and text, of an array or of the array `data` of an object."""
    document = Document(unified_blocks(path), unique_keys)
    try:
        yield from document.rows()
    except JsonError as error:
        raise InputError(f"{path}, line {error.line}: {error}") from None
    if not document.has_rows:
        raise InputError(f"{path}: expected rows: an object a line, an array, or an array 'data'")


def _check_characters(path: str | Path, row: dict, line: int) -> None:
    try:
        text = json.dumps(row, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        raise InputError(
            f"{path}, line {line}: half of a character, {half!a} (a lone surrogate); write the "
            "whole character, or drop it"
        ) from None
    except RecursionError:
        raise InputError(f"{path}, line {line}: nested too deeply") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise InputError(f"{path}, line {line}: a NUL character, \\u0000; drop it")
