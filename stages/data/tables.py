"""Rows of CSV and JSON files, with messages that name the row."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.data.text import read_text

# Columns that number the rows: skipped when columns are chosen by their order.
ROW_NUMBERS = ("idx", "id", "guid")
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n]*")


@dataclass
class Table:
    """Rows by column name, and their positions in the file.

    path: the file, or the name of another source.
    columns: the names of all columns, in order of appearance.
    rows: one mapping a row. CSV cells are text; a JSON row may lack a column.
    line_numbers: the line, from 1, on which each row starts; None where there are no lines.
    """

    path: str
    columns: list[str]
    rows: list[dict[str, Any]]
    line_numbers: list[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, row: int) -> str:
        """The location of row `row` (from 0) for a message."""
        if self.line_numbers is None:
            return f"{self.path}, row {row + 1}"
        return f"{self.path}, line {self.line_numbers[row]}"

    def column(self, name: str) -> list:
        """The values of a column, row by row.

        Raises:
            InputError: no such column, or a row that lacks it.
        """
        if name not in self.columns:
            raise InputError(f"{self.path}: no column {name!r}; there are {_listed(self.columns)}")
        try:
            return [row[name] for row in self.rows]
        except KeyError:
            row = next(i for i, row in enumerate(self.rows) if name not in row)
            raise InputError(f"{self.where(row)}: no {name!r}") from None

    def first(self, count: int | None) -> "Table":
        """The first `count` rows; None means all."""
        if count is None or count >= len(self.rows):
            return self
        lines = None if self.line_numbers is None else self.line_numbers[:count]
        return Table(self.path, self.columns, self.rows[:count], lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def read_table(path: str | Path) -> Table:
    """The rows of a file, read as its extension says: .csv, .tsv, .json or .jsonl."""
    extension = Path(path).suffix.lower()
    if extension in (".csv", ".tsv"):
        return read_csv(path)
    if extension in (".json", ".jsonl"):
        return read_json(path)
    raise InputError(f"{path}: unknown kind of file; expected .csv, .tsv, .json or .jsonl")


def read_csv(path: str | Path, delimiter: str | None = None) -> Table:
    """The rows of a CSV file with a header; blank lines are skipped.

    In tab-separated files quotation marks are ordinary text, as in the files of GLUE: the format
    has no quoting, and the sentences contain marks that never close.

    Args:
        path: the file.
        delimiter: of the cells; by default a tab for .tsv, else a comma.

    Raises:
        InputError: what `read_text` refuses; no row below the header; a header with an empty or
            repeated name; a row with another number of cells; a quotation that does not close.
    """
    if delimiter is None:
        delimiter = "\t" if Path(path).suffix.lower() == ".tsv" else ","
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    lines = [line + "\n" for line in read_text(path)]
    # The module's own limit is 128 KiB a cell, less than a long document.
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    records: list[list[str]] = []
    starts: list[int] = []
    ended = 0
    try:
        for record in reader:
            if record:
                records.append(record)
                starts.append(ended + 1)
            ended = reader.line_num
    except csv.Error as error:
        raise InputError(f"{path}, line {ended + 1}: not CSV ({error})") from None
    header = records[0]
    _check_header(path, header, delimiter)
    for record, line in zip(records, starts, strict=True):
        if len(record) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(record)} cells, but the header names {len(header)} "
                f"({', '.join(header)})"
            )
    if len(records) == 1:
        raise InputError(f"{path}: no row below the header")
    rows = [dict(zip(header, record, strict=True)) for record in records[1:]]
    return Table(str(path), header, rows, starts[1:])


def _check_header(path: str | Path, header: list[str], delimiter: str):
    for name in header:
        if not name.strip():
            raise InputError(f"{path}, line 1: a column of the header has no name")
        if header.count(name) > 1:
            raise InputError(f"{path}, line 1: the header names {name!r} twice")
    other = next((mark for mark in (",", ";", "\t") if mark in header[0]), None)
    if len(header) == 1 and other is not None:
        raise InputError(
            f"{path}, line 1: one column, named {header[0]!r}; separate the cells by "
            f"{delimiter!r} instead of {other!r}"
        )


def read_json(path: str | Path) -> Table:
    """The objects of a JSON file: one a line, one array, or the array `data` of an object.

    `NaN` and `Infinity` are read as floats, as the json module does.

    Raises:
        InputError: what `read_text` refuses; broken JSON, with its line; a row that is no
            object; no rows.
    """
    lines = read_text(path)
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
    columns = list(dict.fromkeys(name for row, _ in found for name in row))
    return Table(str(path), columns, [row for row, _ in found], [line for _, line in found])


def _is_json_lines(lines: list[str]) -> bool:
    """Whether every line is a row; otherwise the whole file is one document."""
    filled = [line for line in lines if line.strip()][:2]
    first, second = (_object(line) for line in [*filled, ""][:2])
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


def _decode(path: str | Path, text: str, line: int = 1) -> Any:
    """The JSON value of `text`, which starts on line `line` of the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        raise InputError(
            f"{path}, line {at}: not JSON ({error.msg}, column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {line}: cannot be read as JSON ({error})") from None


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
    found = position
    while text[position] != "}":
        key, end = _DECODER.raw_decode(text, _skip(text, position + 1))
        value = _skip(text, _skip(text, end) + 1)
        if key == "data":
            found = value  # json keeps the last of duplicate keys
        position = _skip(text, _DECODER.raw_decode(text, value)[1])
    return found


def _skip(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()


def choose_columns(
    table: Table, given: dict[str, str | None], defaults: Sequence[str]
) -> dict[str, str]:
    """A column for each flag: the given one, else its default if present, else the next in order.

    The order skips columns that number the rows (`ROW_NUMBERS`).

    Args:
        table: the rows.
        given: flag to the column that the user gave, or None.
        defaults: the usual name of each flag's column, in the order of `given`.

    Returns:
        Flag to the name of a column; no column serves two flags.

    Raises:
        InputError: a given column is absent or serves two flags; there are too few columns.
    """
    chosen: dict[str, str] = {}
    for flag, name in given.items():
        if name is None:
            continue
        if name not in table.columns:
            raise InputError(
                f"{table.path}: no column {name!r} (--{flag}); there are {_listed(table.columns)}"
            )
        if name in chosen.values():
            raise InputError(f"{table.path}: --{flag} names {name!r}, which another flag has taken")
        chosen[flag] = name
    for flag, name in zip(given, defaults, strict=True):
        if flag not in chosen and name in table.columns and name not in chosen.values():
            chosen[flag] = name
    for flag in given:
        if flag not in chosen:
            taken = {*chosen.values(), *ROW_NUMBERS}
            free = [name for name in table.columns if name not in taken]
            if not free:
                raise InputError(
                    f"{table.path}: no column is left for --{flag}; "
                    f"there are {_listed(table.columns)}"
                )
            chosen[flag] = free[0]
    return {flag: chosen[flag] for flag in given}
