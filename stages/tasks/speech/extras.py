"""Columns that come along with clips: their types, decided over all rows with little in memory."""

from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow
import pyarrow.parquet

from stages.core.errors import InputError, quoted
from stages.data.tables import Table
from stages.data.writer import in_chunks

# Rows that are converted at once.
_CHUNK = 1000


def extra_types(table: Table, taken: Collection[str]) -> dict[str, pyarrow.DataType]:
    """The type of each column but those `taken`: the one that holds the values of all rows.

    Raises:
        InputError: there is none, or parquet does not hold it.
    """
    # One value of each kind decides as all values do.
    samples: dict[str, dict[Hashable, Any]] = {
        name: {} for name in table.columns if name not in taken
    }
    for row in table.rows:
        for name, found in samples.items():
            with _refusing(table, name):
                found.setdefault(_kind(row.get(name)), row.get(name))
    types = {}
    for name, found in samples.items():
        with _refusing(table, name):
            types[name] = _type(list(found.values()))
            _check_kind(name, types[name])
    for rows in in_chunks(table.rows, _CHUNK):
        for name, kind in types.items():
            with _refusing(table, name):
                pyarrow.array([row.get(name) for row in rows], kind)
    return types


@contextmanager
def _refusing(table: Table, name: str) -> Iterator[None]:
    try:
        yield
    # Half a character, an integer of more than 64 bits, a type that a file cannot hold.
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError, RecursionError):
        raise InputError(
            f"{table.path}: the values of {quoted(name)} are of several types, or of one that "
            "parquet does not hold; give it one, or leave the column out"
        ) from None


def _kind(value: Any) -> Hashable:
    """What a type is decided by: values of the same kind add nothing to it."""
    if isinstance(value, dict):
        return dict, tuple((key, _kind(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        # In their order: of some kinds the first value in a list decides.
        return type(value), tuple(dict.fromkeys(map(_kind, value)))
    if isinstance(value, int) and not isinstance(value, bool):
        # What a float holds exactly, and signed and unsigned integers.
        return int, abs(value) <= 2**53, value.bit_length() < 64, 0 <= value < 2**64
    if isinstance(value, Decimal):
        return Decimal, len(value.as_tuple().digits), value.as_tuple().exponent
    if isinstance(value, datetime):
        return type(value), str(value.tzinfo)
    return type(value)


def _type(values: list) -> pyarrow.DataType:
    try:
        return pyarrow.array(values).type
    except OverflowError:  # of integers it only tries the signed ones
        return pyarrow.array(values, pyarrow.uint64()).type


def _check_kind(name: str, kind: pyarrow.DataType) -> None:
    """Raise what writing a column would."""
    import datasets

    schema = datasets.Features.from_arrow_schema(pyarrow.schema([(name, kind)])).arrow_schema
    empty = pyarrow.table([pyarrow.array([], kind)], schema=schema)
    pyarrow.parquet.write_table(empty, pyarrow.BufferOutputStream())
