"""Checked rows on their way from a table to a store, and their places in the file."""

from collections.abc import Iterable
from itertools import repeat

import pyarrow as pa

from stages.data.columns import ChosenColumns
from stages.data.store import Store
from stages.data.tables import Table, place
from stages.data.writer import Writer, in_chunks

# Rows written at once, which need less memory than documents: few chunks of a file.
_CHUNK = 5000
# The column of a row's place: its line in the file, or the whole of it as a text.
LINE, PLACE = "line", "place"


def write_rows(writer: Writer, types: dict[str, pa.DataType], rows: Iterable[tuple]) -> None:
    """Write rows, checked as they are drawn.

    Args:
        writer: of the store.
        types: the type of each column.
        rows: their values, in the order of `types`.
    """
    for chunk in in_chunks(rows, _CHUNK):
        columns = zip(types.items(), zip(*chunk, strict=True), strict=True)
        writer.write({name: pa.array(values, kind) for (name, kind), values in columns})


def write_columns(
    writer: Writer,
    table: Table,
    columns: dict[str, Iterable],
    types: dict[str, pa.DataType] | None = None,
) -> None:
    """Write one value a row of each column, and the rows' places.

    Args:
        writer: of the store.
        table: the rows.
        columns: their values, in the order of the rows, checked as they are drawn.
        types: those of columns that hold no text.
    """
    kinds = dict.fromkeys(columns, pa.string()) | (types or {})
    name, kind, places = place_column(table)
    write_rows(
        writer,
        {**{column: kinds[column] for column in columns}, name: kind},
        zip(*columns.values(), places, strict=True),
    )


def place_column(table: Table) -> tuple[str, pa.DataType, Iterable]:
    """The column with the rows' places, for `StoredRows.where`: name, type and values."""
    if table.places is not None:
        return PLACE, pa.string(), table.places
    lines = repeat(None, len(table)) if table.line_numbers is None else table.line_numbers
    return LINE, pa.int64(), lines


class StoredRows(ChosenColumns):
    """Checked rows, read from a store.

    Args:
        path: their file, for messages.
        store: what was written of them.
    """

    def __init__(self, path: str, store: Store):
        self.path = path
        self.store = store
        self.columns: dict[str, str] = store.metadata.get("columns", {})

    def __len__(self) -> int:
        return len(self.store)

    def where(self, row: int) -> str:
        """The location of a row (from 0) for a message."""
        if PLACE in self.store.names:
            return self.store.column(PLACE)[row]
        return place(self.path, row, self.store.column(LINE)[row])
