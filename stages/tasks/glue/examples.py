"""Rows of text classification: one sentence or two, and a label."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.core.errors import InputError, quoted, shortened
from stages.data.cache import UNCACHED, RowCache
from stages.data.rows import StoredRows, write_columns
from stages.data.store import Store
from stages.data.tables import ROW_NUMBERS, Table, choose_columns, source_name
from stages.data.writer import Writer
from stages.tasks.glue.labels import (
    Classes,
    Labels,
    is_real,
    label_list,
    label_name,
    label_values,
    regression_label,
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
LABEL_COLUMNS = ("label", "labels")
REGRESSION_TASKS = ("stsb",)


class Examples(StoredRows):
    """Sentences and labels, one entry a row, read from a store.

    sentence1: the first or only sentence of each row.
    sentence2: the second one, or None for single sentences.
    labels: `Labels`, or float64 [rows] for a regression; None if there are none.
    groups: the column to report accuracy by, as text; None without one.
    regression: whether the labels are numbers to be met rather than classes.
    classes: the names of all classes there may be, where the source tells them.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    def __init__(self, path: str, store: Store):
        super().__init__(path, store)
        self.regression: bool = store.metadata["regression"]
        self.classes: list[str] | None = store.metadata["classes"]
        self.sentence1 = store.column("sentence1")
        self.sentence2 = store.column("sentence2") if "sentence2" in store.names else None
        self.groups = store.column("group") if "group" in store.names else None
        self.labels = store.numbers("label") if "label" in store.names else None
        if self.labels is not None and not self.regression:
            self.labels = Labels(self.labels, store.metadata["names"])

    def texts(self) -> Iterator:
        """The sentence of each row, or the pair of them."""
        if self.sentence2 is None:
            return iter(self.sentence1)
        return zip(self.sentence1, self.sentence2, strict=True)


def read_examples(
    path: str | Path | Table,
    *,
    cache: RowCache = UNCACHED,
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
        cache: keeps the rows.
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
    options = {
        "limit": limit,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "group_column": group_column,
        "task_name": task_name,
        "needs_labels": needs_labels,
        "regression": regression,
    }
    store = cache.table_rows("glue", path, options, _write)
    return Examples(source_name(path), store)


def _write(
    writer: Writer,
    table: Table,
    *,
    limit: int | None,
    text_column: str | None,
    text_pair_column: str | None,
    label_column: str | None,
    group_column: str | None,
    task_name: str | None,
    needs_labels: bool,
    regression: bool | None,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    table = table.first(limit)
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
    labels = None if label_column is None else label_values(table, label_column, needs_labels)
    if regression is None:
        regression = task_name in REGRESSION_TASKS or (
            task_name is None and labels is not None and is_real(labels)
        )
    classes = Classes(table)
    columns = {"sentence1": _sentences(table, text_column)}
    if text_pair_column is not None:
        columns["sentence2"] = _sentences(table, text_pair_column)
    if labels is not None and regression:
        columns["label"] = (regression_label(table, row, value) for row, value in enumerate(labels))
    elif labels is not None:
        columns["label"] = (classes.code(row, value) for row, value in enumerate(labels))
    if group_column is not None:
        columns["group"] = map(str, table.column(group_column))
    types = {"label": pa.float64() if regression else pa.int32()}
    write_columns(writer, table, columns, types)
    return {
        "regression": regression,
        "names": list(classes.codes),
        "classes": label_list(table.classes.get(label_column, ())) or None,
        "columns": _chosen_columns(text_column, text_pair_column, label_column),
    }


def _label_column(table: Table, given: str | None, group: str | None, needed: bool) -> str | None:
    if given is not None:
        return choose_columns(table, {"label_column_name": given}, ("label",))["label_column_name"]
    for name in LABEL_COLUMNS:
        if name in table.columns:
            return name
    free = [name for name in table.columns if name != group and name not in ROW_NUMBERS]
    return free[-1] if needed and free else None


def _chosen_columns(first: str, second: str | None, label: str | None) -> dict[str, str]:
    """The sentences' columns in any case: a name alone does not say that there is no second one."""
    columns = {"text_column_name": first, "text_pair_column_name": second}
    if label not in LABEL_COLUMNS:
        columns["label_column_name"] = label
    return {flag: name for flag, name in columns.items() if name is not None}


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


def _sentences(table: Table, column: str) -> Iterator[str]:
    for row, value in enumerate(table.column(column)):
        if not isinstance(value, str):
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected text"
            )
        if not value.strip():
            raise InputError(f"{table.where(row)}: {quoted(column)} is empty; expected a sentence")
        yield value


def encode_labels(examples: Examples, names: list[str]) -> np.ndarray:
    """The labels as an array [rows]: int32 places in `names`, or float32 for a regression.

    Args:
        examples: rows with labels.
        names: the classes that training, or the checkpoint, knows; unused for a regression.

    Raises:
        InputError: a label that is not among `names`, with the row and the list.
    """
    if examples.regression:
        return examples.labels.astype(np.float32)
    places = {label_name(name): place for place, name in enumerate(names)}
    labels = examples.labels
    found = np.array([places.get(name, -1) for name in labels.names], np.int32)[labels.codes]
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        known = shortened(", ".join(names), 400)
        row = int(unknown[0])
        raise InputError(
            f"{examples.where(row)}: the label {quoted(labels[row])} is none of those known: "
            f"{known} (--label_names of a training names all)"
        )
    return found
