"""Checked rows on their way from a table to a store, and their places in the file."""

from collections.abc import Iterable
from itertools import islice

import pyarrow as pa

from stages.data.store import Store, Writer
from stages.data.tables import Table, place

# Rows written at once: little memory, and few chunks of a file.
CHUNK = 10_000
LINE = "line"


def write_columns(
    writer: Writer,
    table: Table,
    columns: dict[str, Iterable],
    types: dict[str, pa.DataType] | None = None,
) -> None:
    """Write one value a row of each column, checked as they are drawn, and the rows' lines.

    Args:
        writer: of the store.
        table: the rows.
        columns: their values, in the order of the rows.
        types: those of columns that hold no text.
    """
    types = types or {}
    columns = {name: iter(values) for name, values in columns.items()}
    for start in range(0, len(table), CHUNK):
        chunk = {
            name: pa.array(list(islice(values, CHUNK)), types.get(name, pa.string()))
            for name, values in columns.items()
        }
        if table.line_numbers is not None:
            chunk[LINE] = pa.array(table.line_numbers[start : start + CHUNK], pa.int64())
        writer.write(chunk)


def where(path: str, store: Store, row: int) -> str:
    """The location of a row of a store (from 0) for a message."""
    line = store.numbers(LINE)[row] if LINE in store.names else None
    return place(path, row, line)
