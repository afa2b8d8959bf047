"""The labels of text classification: names of classes, or numbers to be met."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from stages.core.errors import InputError, quoted
from stages.data.tables import Table, has_labels, is_placeholder
from stages.data.views import LazySequence

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
# Whole numbers up to here are exact in float64.
EXACT = 2**53
LARGEST = float(np.finfo(np.float32).max)


class Labels(LazySequence):
    """The name of each row's class, kept as a number.

    Args:
        codes: int32 array [rows], places in `names`.
        names: the different classes, in the order in which they come up.
    """

    def __init__(self, codes: np.ndarray, names: list[str]):
        self.codes, self.names = codes, names

    def __len__(self) -> int:
        return len(self.codes)

    def row(self, row: int) -> str:
        """The name of one row's class."""
        return self.names[self.codes[row]]

    def __iter__(self) -> Iterator[str]:
        return map(self.names.__getitem__, self.codes)


def label_values(table: Table, column: str, needed: bool) -> Sequence | None:
    """The labels of a column, row by row, checked; None where there are none.

    Args:
        table: the rows.
        column: of the labels.
        needed: whether they are refused where they are hidden.

    Raises:
        InputError: a label that is empty, or neither text nor a finite number, with its row; if
            they are needed, nothing but placeholders.
    """
    values = table.column(column) if needed else table.values(column)
    if not needed and not has_labels(values):
        return None
    # A few rows of a stream may all be of the class -1.
    hidden = needed and not table.continued
    for row, value in enumerate(values):
        if not isinstance(value, (str, int, float)) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected a label"
            )
        if not str(value).strip():
            raise InputError(f"{table.where(row)}: {quoted(column)} is empty; expected a label")
        hidden = hidden and is_placeholder(value)
    if hidden:
        raise InputError(
            f"{table.where(0)}: every label in {quoted(column)} is {quoted(values[0])}, a sign for "
            "hidden labels; these rows can only be predicted"
        )
    return values


def _as_number(value) -> float | None:
    """The number that a label is, NaN or infinite where it has none in float64."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value.strip())):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def is_real(labels: Sequence) -> bool:
    """Whether all labels are numbers, and some of them not whole."""
    fractions = False
    for value in labels:
        number = _as_number(value)
        if number is None or not math.isfinite(number):
            return False
        fractions = fractions or not number.is_integer()
    return fractions


def regression_label(table: Table, row: int, value) -> float:
    """The number that a row's label is.

    Raises:
        InputError: it is none, or beyond float32.
    """
    number = _as_number(value)
    if number is None or not abs(number) <= LARGEST:
        raise InputError(
            f"{table.where(row)}: the label is {quoted(value)}; expected a number within float32"
        )
    return number


class Classes:
    """Numbers the classes of a table in the order in which they come up."""

    def __init__(self, table: Table):
        self.codes: dict[str, int] = {}
        self._table = table
        self._written: dict[str, str] = {}

    def code(self, row: int, value: Any) -> int:
        """The number of a row's class.

        Raises:
            InputError: a float whose digits are lost; a name that differs from another one in
                blanks alone.
        """
        if isinstance(value, float) and abs(value) > EXACT:
            raise InputError(
                f"{self._table.where(row)}: the label {value!r} is too large for a float to keep "
                "its digits; write it as text, or without point and exponent"
            )
        name = label_name(value)
        if isinstance(value, str) and self._written.setdefault(name, value) != value:
            raise InputError(
                f"{self._table.where(row)}: the label {quoted(value)} differs from "
                f"{quoted(self._written[name])} in blanks alone; write both the same"
            )
        return self.codes.setdefault(name, len(self.codes))


def label_name(value) -> str:
    """The name of a class: its text as the file writes it, or a number's value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def label_list(labels: Iterable[str]) -> list[str]:
    """The classes in order: by value if all are whole numbers, else by code points."""
    names = sorted(set(labels))
    return sorted(names, key=Decimal) if all(map(_WHOLE.fullmatch, names)) else names
