"""Rows of text classification: one sentence or two, and a label."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from stages.core.errors import InputError, quoted, shortened
from stages.data.tables import (
    ROW_NUMBERS,
    Table,
    choose_columns,
    has_labels,
    is_placeholder,
    read_table,
)

# The columns of the sentences in each task of the GLUE benchmark (https://gluebenchmark.com).
TASK_COLUMNS = {
    "cola": ("sentence", None),
    "mnli": ("premise", "hypothesis"),
    "mrpc": ("sentence1", "sentence2"),
    "qnli": ("question", "sentence"),
    "qqp": ("question1", "question2"),
    "rte": ("sentence1", "sentence2"),
    "sst2": ("sentence", None),
    "stsb": ("sentence1", "sentence2"),
    "wnli": ("sentence1", "sentence2"),
}
REGRESSION_TASKS = ("stsb",)

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
# Whole numbers up to here are exact in float64.
EXACT = 2**53
LARGEST = float(np.finfo(np.float32).max)


@dataclass
class Examples:
    """Sentences and labels, one entry a row.

    sentence1: the first or only sentence of each row.
    sentence2: the second one, or None for single sentences.
    labels: class names (str), or numbers (float) for a regression; None if there are none.
    regression: whether the labels are numbers to be met rather than classes.
    table: the rows with all their columns.
    """

    sentence1: list[str]
    sentence2: list[str] | None
    labels: list[str] | list[float] | None
    regression: bool
    table: Table

    def __len__(self) -> int:
        return len(self.sentence1)

    def where(self, row: int) -> str:
        """The place of a row for a message."""
        return self.table.where(row)

    def extra(self, column: str) -> list[str]:
        """Any column of the file as text, such as the kind of each pair."""
        return [str(value) for value in self.table.column(column)]


def read_examples(
    path: str | Path | Table,
    *,
    limit: int | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    task_name: str | None = None,
    needs_labels: bool = True,
    regression: bool | None = None,
) -> Examples:
    """Read and check the rows of a .csv, .tsv or JSON file, or of a table.

    Columns not given are, in this order: those of the GLUE task; `sentence1` and `sentence2`;
    `sentence`; the first one or two that are neither label nor group nor a row's number. The
    label is in `label` or `labels`, else in the last such column. A text column that is given
    without a second one means single sentences.

    Args:
        path: the file, or rows from elsewhere.
        limit: read only the first `limit` rows.
        text_column, text_pair_column, label_column: the user's names.
        group_column: a column that is no sentence; it must be there.
        task_name: a key of `TASK_COLUMNS`, or None.
        needs_labels: whether rows without labels are refused. If not, labels are taken only from
            a column that is given or named so, and where no row has a placeholder for one.
        regression: what the training rows were found to be; None decides by these labels: real
            numbers that are not all whole are a regression, everything else is classes.

    A class is named by the text that the file holds, without blanks around it: "007" is not "7".
    A number of JSON is named by its value, so that 1 and 1.0 are one class.

    Raises:
        InputError: a column that is absent, a sentence or label that is empty or no text, a
            label that is no number in a regression, classes that differ in blanks alone; all but
            the first with the row.
    """
    table = (path if isinstance(path, Table) else read_table(path)).first(limit)
    if group_column is not None:
        choose_columns(table, {"group_column_name": group_column}, ("",))
    label_column = _label_column(table, label_column, group_column, needs_labels)
    text_column, text_pair_column = _text_columns(
        table, text_column, text_pair_column, {label_column, group_column}, task_name
    )
    if label_column is None:
        lacking = needs_labels
    else:
        lacking = label_column in (text_column, text_pair_column)
    if lacking:
        raise InputError(
            f"{table.path}: no column is left for the label; there are "
            f"{table.listed()}; name it with --label_column_name"
        )
    labels = None if label_column is None else _label_values(table, label_column, needs_labels)
    if regression is None:
        regression = task_name in REGRESSION_TASKS or (
            task_name is None and labels is not None and _is_real(labels)
        )
    if labels is not None:
        if regression:
            labels = [_number(table, row, value) for row, value in enumerate(labels)]
        else:
            labels = _class_names(table, labels)
    return Examples(
        _sentences(table, text_column),
        None if text_pair_column is None else _sentences(table, text_pair_column),
        labels,
        regression,
        table,
    )


def _label_column(table: Table, given: str | None, group: str | None, needed: bool) -> str | None:
    if given is not None:
        return choose_columns(table, {"label_column_name": given}, ("label",))["label_column_name"]
    for name in ("label", "labels"):
        if name in table.columns:
            return name
    free = [name for name in table.columns if name != group and name not in ROW_NUMBERS]
    return free[-1] if needed and free else None


def _text_columns(
    table: Table, first: str | None, second: str | None, taken: set, task_name: str | None
) -> tuple[str, str | None]:
    if first is None and second is None:
        usual = [TASK_COLUMNS[task_name]] if task_name else []
        for pair in [*usual, ("sentence1", "sentence2"), ("sentence", None)]:
            if pair[0] in table.columns and (pair[1] is None or pair[1] in table.columns):
                return pair
        free = [name for name in table.columns if name not in taken and name not in ROW_NUMBERS]
        if not free:
            raise InputError(
                f"{table.path}: no column is left for a sentence; there are "
                f"{table.listed()}; name it with --text_column_name"
            )
        return free[0], free[1] if len(free) > 1 else None
    flags = {"text_column_name": first}
    if second is not None:
        flags["text_pair_column_name"] = second
    chosen = choose_columns(table, flags, ("sentence1", "sentence2")[: len(flags)])
    return chosen["text_column_name"], chosen.get("text_pair_column_name")


def _sentences(table: Table, column: str) -> list[str]:
    values = table.column(column)
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected text"
            )
        if not value.strip():
            raise InputError(f"{table.where(row)}: {quoted(column)} is empty; expected a sentence")
    return list(values)


def _label_values(table: Table, column: str, needed: bool) -> list | None:
    values = list(table.column(column)) if needed else [row.get(column) for row in table.rows]
    if not needed and not has_labels(values):
        return None
    for row, value in enumerate(values):
        if not isinstance(value, (str, int, float)) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected a label"
            )
        if not str(value).strip():
            raise InputError(f"{table.where(row)}: {quoted(column)} is empty; expected a label")
    if needed and all(map(is_placeholder, values)):
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


def _is_real(labels: list) -> bool:
    numbers = [_as_number(value) for value in labels]
    return all(number is not None and math.isfinite(number) for number in numbers) and any(
        not number.is_integer() for number in numbers
    )


def _number(table: Table, row: int, value) -> float:
    number = _as_number(value)
    if number is None or not abs(number) <= LARGEST:
        raise InputError(
            f"{table.where(row)}: the label is {quoted(value)}; expected a number within float32"
        )
    return number


def _class_names(table: Table, labels: list) -> list[str]:
    written: dict[str, str] = {}
    names = []
    for row, value in enumerate(labels):
        if isinstance(value, float) and abs(value) > EXACT:
            raise InputError(
                f"{table.where(row)}: the label {value!r} is too large for a float to keep its "
                "digits; write it as text, or without point and exponent"
            )
        name = _class_name(value)
        if isinstance(value, str) and written.setdefault(name, value) != value:
            raise InputError(
                f"{table.where(row)}: the label {quoted(value)} differs from "
                f"{quoted(written[name])} in blanks alone; write both the same"
            )
        names.append(name)
    return names


def _class_name(value) -> str:
    """The name of a class: its text as the file writes it, or a number's value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def label_list(labels: list[str]) -> list[str]:
    """The classes in order: by value if all are whole numbers, else by code points."""
    names = sorted(set(labels))
    return sorted(names, key=Decimal) if all(map(_WHOLE.fullmatch, names)) else names


def encode_labels(examples: Examples, names: list[str]) -> np.ndarray:
    """The labels as an array [rows]: int32 places in `names`, or float32 for a regression.

    Args:
        examples: rows with labels.
        names: the classes that training, or the checkpoint, knows; unused for a regression.

    Raises:
        InputError: a label that is not among `names`, with the row and the list.
    """
    if examples.regression:
        return np.array(examples.labels, dtype=np.float32)
    places = {_class_name(name): place for place, name in enumerate(names)}
    try:
        return np.array([places[label] for label in examples.labels], dtype=np.int32)
    except KeyError:
        row, label = next(
            (row, label) for row, label in enumerate(examples.labels) if label not in places
        )
        known = shortened(", ".join(names), 400)
        raise InputError(
            f"{examples.where(row)}: the label {quoted(label)} is none of those known: {known}"
        ) from None
