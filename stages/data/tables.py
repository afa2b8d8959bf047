"""Rows of CSV and JSON files, with messages that name the row."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stages.core.errors import InputError, quoted, shortened
from stages.data.delimited import read_cells
from stages.data.json_rows import holds_json, read_sized_objects
from stages.data.spool import Lines, Spool
from stages.data.text import read_blocks, read_lines
from stages.data.views import LazySequence

# What a file holds, by the ending of its name: cells, JSON or plain text.
CELLS = (".csv", ".tsv")
JSON = (".json", ".jsonl", ".ndjson")
TABLES = (*CELLS, *JSON)
PLAIN = (".txt", ".text", ".md", ".raw", ".tokens", "")


@dataclass
class Table:
    """Rows by column name, and their positions in the file.

    path: the file, or the name of another source.
    columns: the names of all columns, in order of appearance.
    rows: one mapping a row, to be read in order: those of a file may lie on disk. CSV cells are
        text; a JSON row may lack a column.
    line_numbers: the line, from 1, on which each row starts; None where there are no lines.
    complete: columns that are known to be in every row.
    places: the location of each row for a message, where they lie in several files.
    classes: columns to the names of all their classes, where the source tells them.
    continued: whether they are further rows of a stream, of whose first ones the task has seen what
        the columns hold.
    """

    path: str
    columns: list[str]
    rows: Sequence[dict[str, Any]]
    line_numbers: Sequence[int] | None = None
    complete: Collection[str] = ()
    places: Sequence[str] | None = None
    classes: Mapping[str, list[str]] = field(default_factory=dict)
    continued: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, row: int) -> str:
        """The location of row `row` (from 0) for a message."""
        if self.places is not None:
            return self.places[row]
        return place(self.path, row, None if self.line_numbers is None else self.line_numbers[row])

    def listed(self) -> str:
        """The names of the columns for a message."""
        return shortened(", ".join(map(quoted, self.columns)), 400)

    def column(self, name: str) -> "TableColumn":
        """The values of a column, row by row, as a sequence that reads the rows each time.

        Raises:
            InputError: no such column, or a row that lacks it.
        """
        if name not in self.columns:
            raise InputError(f"{self.path}: no column {quoted(name)}; there are {self.listed()}")
        if name not in self.complete:
            for index, row in enumerate(self.rows):
                if name not in row:
                    raise InputError(f"{self.where(index)}: no {quoted(name)}")
        return self.values(name)

    def values(self, name: str) -> "TableColumn":
        """The values of a column, row by row; None in rows that lack it."""
        return TableColumn(self.rows, name)

    def texts(self, name: str) -> "TableColumn":
        """The values of a column of text, row by row, as a sequence that reads the rows each time.

        Raises:
            InputError: what `column` refuses, or a value that is no text.
        """
        values = self.column(name)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise InputError(
                    f"{self.where(row)}: {quoted(name)} is {quoted(value)}; expected text"
                )
        return values

    def first(self, count: int | None) -> "Table":
        """The first `count` rows; None means all."""
        if count is None or count >= len(self.rows):
            return self
        lines, places = (
            None if found is None else _first(found, count)
            for found in (self.line_numbers, self.places)
        )
        return replace(self, rows=_first(self.rows, count), line_numbers=lines, places=places)


def _first(found: Sequence, count: int) -> Sequence:
    """The first `count` of a sequence, of which nothing is copied where it lies on disk."""
    return found.first(count) if isinstance(found, Spool | Lines) else found[:count]


class TableColumn(LazySequence):
    """The values under one name, None in rows that lack it.

    Args:
        rows: one mapping a row.
        name: of the column.
    """

    def __init__(self, rows: Sequence[dict[str, Any]], name: str):
        self._rows = rows
        self._name = name

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, row: int) -> Any:
        """The value of one row, from 0."""
        return self._rows[row].get(self._name)

    def __iter__(self) -> Iterator:
        name = self._name
        return (row.get(name) for row in self._rows)


def source_name(source: str | Path | Table) -> str:
    """What a message calls a file, or rows from elsewhere."""
    return source.path if isinstance(source, Table) else str(source)


def place(path: str, row: int, line: int | None) -> str:
    """The location of row `row` (from 0) for a message, by its line if that is known."""
    return f"{path}, row {row + 1}" if line is None else f"{path}, line {line}"


def is_table(path: str | Path) -> bool:
    """Whether a file's name says, in any case, that it holds rows with columns."""
    return Path(path).suffix.lower() in TABLES


def read_table(path: str | Path) -> Table:
    """The rows of a file, read as its extension says: one of `TABLES`, in any case."""
    if not is_table(path):
        for _ in read_blocks(path):  # says what is no text
            pass
        raise InputError(f"{path}: unknown kind of file; expected {', '.join(TABLES)}")
    return (read_csv if Path(path).suffix.lower() in CELLS else read_json)(path)


def read_csv(path: str | Path, delimiter: str | None = None) -> Table:
    """The rows of a CSV or TSV file with a header: text, see `stages.data.delimited`."""
    header, records = read_cells(path, delimiter)
    rows = Spool()
    for record, line in records:
        rows.append(dict(zip(header, record, strict=True)), line, len("".join(record)))
    return Table(str(path), header, rows, rows.lines, header)


def read_json(path: str | Path) -> Table:
    """The objects of a JSON file, see `stages.data.json_rows`."""
    rows = Spool()
    columns: dict[str, None] = {}
    complete: set[str] = set()
    names: Collection[str] = ()
    for row, line, size in read_sized_objects(path):
        # Most rows have the columns of the one before.
        if row.keys() != names:
            complete = complete & row.keys() if len(rows) else set(row)
            columns.update(dict.fromkeys(row))
            names = row.keys()
        rows.append(row, line, size)
    return Table(str(path), list(columns), rows, rows.lines, complete)


def read_plain_text(path: str | Path) -> Iterator[str]:
    """The lines of a file that holds nothing but text, see `stages.data.text`.

    Raises:
        InputError: an extension that says something else; JSON, whose keys and braces would be
            read as text; while the lines are read, what `read_lines` refuses.
    """
    if Path(path).suffix.lower() not in PLAIN:
        for _ in read_blocks(path):  # says what is no text
            pass
        raise InputError(
            f"{path}: unknown kind of file; expected {', '.join(filter(None, PLAIN))} for plain "
            f"text, or {', '.join(TABLES)} for a column of it"
        )
    refuse_json(path)
    return read_lines(path)


def refuse_json(path: str | Path) -> None:
    """Refuse a file that is no table by name if its lines hold JSON."""
    if holds_json(path):
        raise InputError(
            f"{path}: JSON, not plain text; name it .jsonl to read its columns (text that is "
            "itself JSON can stand in one)"
        )


def is_placeholder(value: Any) -> bool:
    """Whether a label stands for one that is not known: null, empty, `?`, `_`, -1, lists of these.

    In a file to predict it is no label. -1 is what GLUE writes.
    """
    if isinstance(value, str):
        return value.strip() in ("", "?", "_", "-1", "-1.0")
    if isinstance(value, list):
        return all(map(is_placeholder, value))
    return value is None or value in (-1, {}) or value != value


def has_labels(values: Sequence) -> bool:
    """Whether the rows of a file to predict have labels: all or none do.

    A row with a placeholder has none. -1 may be a label beside others that are none.
    """
    labels = 0
    for value in values:
        if not is_placeholder(value):
            labels += 1
        elif not _may_be_class(value):
            return False
    return labels > 0


def _may_be_class(value: Any) -> bool:
    return value == -1 or (isinstance(value, str) and value.strip() in ("-1", "-1.0"))
