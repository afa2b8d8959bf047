"""The cells of CSV and TSV files, each row with its line."""

import csv
import io
import re
from pathlib import Path

from stages.core.errors import InputError, quoted, shortened
from stages.data.json_rows import holds_json
from stages.data.text import read_text

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# A whole file in which a cell with a tab, a line end or a mark is quoted, and no other has marks.
_QUOTED_FILE = re.compile(r'(?:(?:"(?:[^"]|"")*+"|[^"\t\r\n]*+)(?:\t|\r\n?|\n))*+')

Rows = tuple[list[list[str]], list[int]]


def read_cells(path: str | Path, delimiter: str | None = None) -> Rows:
    """The rows of a file, the header first; blank lines are skipped.

    There are two kinds of tab-separated files. GLUE's have no quoting, and sentences with
    marks that never close. What pandas and readr write quotes cells that hold a mark, and doubles
    the mark. A file is of the second kind if each cell with a mark is quoted as a whole, and if a
    mark within one is doubled, if all of the header is quoted, or if the rows have as many cells
    as the header only that way.

    Args:
        path: the file.
        delimiter: of the cells; by default a tab for .tsv, else a comma.

    Returns:
        The cells of each row, and the line, from 1, on which each row starts.

    Raises:
        InputError: what `read_text` refuses; JSON; no row below the header; a header with an
            empty or repeated name; a row with another number of cells; a quotation that does not
            close.
    """
    if delimiter is None:
        delimiter = "\t" if Path(path).suffix.lower() == ".tsv" else ","
    # Line ends within cells stay as they are.
    lines = list(io.StringIO(read_text(path), newline=""))
    if holds_json(lines):
        raise InputError(f"{path}: its lines are JSON; name it .jsonl")
    # The module's own limit is 128 KiB a cell, less than a long document.
    csv.field_size_limit(2**31 - 1)
    if delimiter == "\t" and not _is_quoted(lines):
        records, starts = _parse(path, lines, delimiter, csv.QUOTE_NONE)
    else:
        records, starts = _parse(path, lines, delimiter, csv.QUOTE_MINIMAL)
    header = records[0]
    _check_header(path, header, delimiter)
    for record, line in zip(records, starts, strict=True):
        if len(record) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(record)} cells, but the header names {len(header)} "
                f"({shortened(', '.join(header))})"
            )
    if len(records) == 1:
        raise InputError(f"{path}: no row below the header")
    return records, starts


def _parse(path: str | Path, lines: list[str], delimiter: str, quoting: int) -> Rows:
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
    return records, starts


def _is_quoted(lines: list[str]) -> bool:
    """Whether the cells of a tab-separated file are quoted where they hold marks."""
    rows = [line.rstrip("\r\n").split("\t") for line in lines if line.rstrip("\r\n")]
    header = rows[0]
    marked = [cell for row in rows for cell in row if '"' in cell]
    if all(len(row) == len(header) for row in rows):
        return all(map(_QUOTED.fullmatch, marked)) and (
            any('"' in cell[1:-1] for cell in marked) or all(map(_QUOTED.fullmatch, header))
        )
    return bool(marked) and _QUOTED_FILE.fullmatch("".join([*lines, "\n"])) is not None


def _check_header(path: str | Path, header: list[str], delimiter: str) -> None:
    for name in header:
        if not name.strip():
            raise InputError(f"{path}, line 1: a column of the header has no name")
        if header.count(name) > 1:
            raise InputError(f"{path}, line 1: the header names {quoted(name)} twice")
    other = next((mark for mark in (",", ";", "\t") if mark in header[0]), None)
    if len(header) == 1 and other is not None:
        raise InputError(
            f"{path}, line 1: one column, named {quoted(header[0])}; separate the cells by "
            f"{delimiter!r} instead of {other!r}"
        )
