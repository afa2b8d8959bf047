"""The cells of CSV and TSV files, each row with its line."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from stages.core.errors import InputError, quoted, shortened
from stages.data.json_rows import holds_json
from stages.data.text import read_raw_lines

_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')
# What stands in quotation marks up to the one that closes, and a cell without any.
_INNER = re.compile(r'[^"]*+(?:""[^"]*+)*+')
_PLAIN = re.compile(r'[^"\t\r\n]*+')

Rows = Iterator[tuple[list[str], int]]


def read_cells(path: str | Path, delimiter: str | None = None) -> tuple[list[str], Rows]:
    """The header and the rows of a file; blank lines are skipped.

    There are two kinds of tab-separated files. GLUE's have no quoting, and sentences with
    marks that never close. What pandas and readr write quotes cells that hold a mark, and doubles
    the mark. A file is of the second kind if each cell with a mark is quoted as a whole, and if a
    mark within one is doubled, if all of the header is quoted, or if the rows have as many cells
    as the header only that way.

    Args:
        path: the file.
        delimiter: of the cells; by default a tab for .tsv, else a comma.

    Returns:
        The names in the header, and the cells of each row with the line, from 1, on which it
        starts.

    Raises:
        InputError: what `read_raw_lines` refuses; JSON; no row below the header; a header with an
            empty or repeated name; a row with another number of cells; a quotation that does not
            close. What is wrong below the header is found when the rows are read.
    """
    if delimiter is None:
        delimiter = "\t" if Path(path).suffix.lower() == ".tsv" else ","
    if holds_json(path):
        raise InputError(f"{path}: its lines are JSON; name it .jsonl")
    # The module's own limit is 128 KiB a cell, less than a long document.
    csv.field_size_limit(2**31 - 1)
    is_quoted = delimiter != "\t" or _is_quoted(read_raw_lines(path))
    records = _parse(path, delimiter, csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE)
    header, _ = next(records)
    _check_header(path, header, delimiter)
    return header, _below(path, header, records)


def _below(path: str | Path, header: list[str], records: Rows) -> Rows:
    width, found = len(header), False
    for record, line in records:
        if len(record) != width:
            raise InputError(
                f"{path}, line {line}: {len(record)} cells, but the header names {width} "
                f"({shortened(', '.join(header))})"
            )
        found = True
        yield record, line
    if not found:
        raise InputError(f"{path}: no row below the header")


def _parse(path: str | Path, delimiter: str, quoting: int) -> Rows:
    # Line ends within cells stay as they are.
    lines = read_raw_lines(path)
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    ended = 0
    try:
        for record in reader:
            if record:
                yield record, ended + 1
            ended = reader.line_num
    except csv.Error as error:
        raise InputError(f"{path}, line {ended + 1}: not CSV ({error})") from None


def _is_quoted(lines: Iterator[str]) -> bool:
    """Whether the cells of a tab-separated file are quoted where they hold marks.

    Args:
        lines: with their ends.
    """
    header: list[str] = []
    # Of the file cut at each tab and line end: whether its rows are as long as the header, a cell
    # has a mark, all such cells are quoted, and one of them has a mark within.
    even, marked, quoted_cells, inner = True, False, True, False
    # Of the file cut where no quotation is open: whether all cells with marks are quoted, and
    # whether one is open.
    quoted_file, is_open = True, False
    for line in lines:
        text = line.rstrip("\r\n")
        if not header and text:
            header = text.split("\t")
        elif text:
            even = even and text.count("\t") + 1 == len(header)
        if '"' not in text:
            continue
        marked = True
        if quoted_cells:
            cells = [cell for cell in text.split("\t") if '"' in cell]
            quoted_cells = all(map(_QUOTED.fullmatch, cells))
            inner = inner or any('"' in cell[1:-1] for cell in cells)
        if quoted_file:
            quoted_file, is_open = _cut_quoted(text, is_open)
        if not (quoted_cells or quoted_file):
            return False
    if even:
        return quoted_cells and (inner or all(map(_QUOTED.fullmatch, header)))
    return marked and quoted_file and not is_open


def _cut_quoted(line: str, is_open: bool) -> tuple[bool, bool]:
    """Cut a line into cells, of which those with a mark, a tab or a line end are quoted.

    Args:
        line: without its end.
        is_open: whether it begins within a cell that an earlier line opened.

    Returns:
        Whether the line can be cut so, and whether a cell is open at its end.
    """
    at = 0
    while True:
        if not is_open and line.startswith('"', at):
            is_open = True
            at += 1
        if is_open:
            at = _INNER.match(line, at).end()
            if at == len(line):
                return True, True
            at += 1
            is_open = False
        else:
            at = _PLAIN.match(line, at).end()
        if at == len(line):
            return True, False
        if line[at] != "\t":
            return False, False
        at += 1


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
