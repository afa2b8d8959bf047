"""The objects of JSON files, each with its line."""

import json
import re
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.core.strict_json import unique_keys
from stages.data.text import read_lines

_SPACE = re.compile(r"[ \t\n]*")
# What text decoded from UTF-8 does not hold, and an escape may: half of a character, NUL.
_ODD = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


def read_objects(path: str | Path) -> list[tuple[dict[str, Any], int]]:
    """The rows of a JSON file: objects one a line, in one array, or in the array `data` of one.

    `NaN` and `Infinity` are read as floats, as the json module does.

    Returns:
        Each object with the line, from 1, on which it starts.

    Raises:
        InputError: what `read_lines` refuses; broken JSON, a key that is given twice, half of a
            surrogate pair or a NUL, with its line; a row that is no object; no rows.
    """
    lines = read_lines(path)
    if _is_json_lines(lines):
        found = [
            (_decode(path, line, number), number)
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    else:
        found = _read_document(path, "\n".join(lines))
    for row, line in found:
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {line}: expected an object {{...}} for each row")
    if not found:
        raise InputError(f"{path}: no rows")
    if any(_ODD.search(line) for line in lines):
        for row, line in found:
            _check_characters(path, row, line)
    return found


def holds_json(lines: list[str]) -> bool:
    """Whether the lines of a file are those of JSON objects, whatever its name says."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if first[:1] not in ("{", "["):
        return False
    if _object(first) is not None:
        return True
    whole = _object("\n".join(lines), (dict, list))
    rows = whole if isinstance(whole, list) else [whole]
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _is_json_lines(lines: list[str]) -> bool:
    """Whether every line is a row; otherwise the whole file is one document."""
    filled = [line for line in lines if line.strip()][:2]
    first, second = (_object(line) for line in [*filled, "", ""][:2])
    if first is not None:
        return len(filled) == 2 or not isinstance(first.get("data"), list)
    # If the first row is broken, the message must name its line. But a document, too, may have a
    # complete object on its second line.
    return second is not None and _object("\n".join(lines), (dict, list)) is None


def _object(text: str, kinds: type | tuple = dict) -> Any:
    """The JSON value of `text` if it has one of the types `kinds`, else None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kinds) else None


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


def _decode(path: str | Path, text: str, line: int = 1) -> Any:
    """The JSON value of `text`, which starts on line `line` of the file."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        raise InputError(
            f"{path}, line {at}: not JSON ({error.msg}, column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: cannot be read as JSON ({error})") from None


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


def _read_document(path: str | Path, text: str) -> list[tuple[Any, int]]:
    """The rows, each with its line, of an array or of the array `data` of an object."""
    whole = _decode(path, text)
    start = _skip(text, 0)
    if isinstance(whole, dict) and isinstance(whole.get("data"), list):
        start, whole = _data_start(text, start), whole["data"]
    if not isinstance(whole, list):
        raise InputError(f"{path}: expected rows: an object a line, an array, or an array 'data'")
    position, line, counted = start, 1, 0
    found = []
    for row in whole:
        position = _skip(text, position + 1)  # past the bracket or the comma
        line += text.count("\n", counted, position)
        counted = position
        found.append((row, line))
        position = _skip(text, _DECODER.raw_decode(text, position)[1])
    return found


def _data_start(text: str, position: int) -> int:
    """Where the array under the key `data` of the object at `position` begins."""
    while True:
        key, end = _DECODER.raw_decode(text, _skip(text, position + 1))
        value = _skip(text, _skip(text, end) + 1)
        if key == "data":
            return value
        position = _skip(text, _DECODER.raw_decode(text, value)[1])


def _skip(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()
