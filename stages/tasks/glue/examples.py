"""Rows of text classification: one sentence or two, and a label."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.core.errors import InputError, quoted, shortened
from stages.data.cache import UNCACHED, RowCache
from stages.data.columns import choose_columns
from stages.data.rows import StoredRows, write_columns
from stages.data.store import Store
from stages.data.tables import Table, source_name
from stages.data.writer import Writer
from stages.tasks.glue.columns import GROUP, LABEL, PAIR, SENTENCE, known_pair
from stages.tasks.glue.labels import (
    Classes,
    Labels,
    is_real,
    label_list,
    label_name,
    label_values,
    regression_label,
)

REGRESSION_TASKS = ("stsb",)


class Examples(StoredRows):
    """Sentences and labels, one entry a row, read from a store.

    sentence1: the first or only sentence of each row.
    sentence2: the second one, or None for single sentences.
    labels: `Labels`, or float64 [rows] for a regression; None if there are none.
    groups: the column to report accuracy by, as text; None without one.
    regression: whether the labels are numbers to be met rather than classes.
    classes: the names of all classes there may be, where the source tells them.
    columns: which column of the file is `sentence1`, `sentence2`, `label` and `group`.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    roles = (SENTENCE, PAIR, LABEL)

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

    @property
    def kept_columns(self) -> dict[str, str]:
        """As in `StoredRows`, and the sentences: one name does not say that there is no other."""
        sentences = {role.flag: self.columns.get(role.name) for role in (SENTENCE, PAIR)}
        return super().kept_columns | {flag: name for flag, name in sentences.items() if name}

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
    source_columns: Mapping[str, str] | None = None,
) -> Examples:
    """Read and check the rows of a .csv, .tsv or JSON file, or of a table.

    Columns not given are, in this order: those of the GLUE task; `sentence1` and `sentence2`; the
    two of another GLUE task; one of `SENTENCE.known`, and `label` or `labels`; the only ones they
    can be (see `choose_columns`). A second sentence is never one without a known name, and a text
    column that is given without a second one means single sentences.

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
        source_columns: as in `choose_columns`.

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
        "source_columns": source_columns,
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
    source_columns: Mapping[str, str] | None,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    table = table.first(limit)
    given = {
        SENTENCE.flag: text_column,
        PAIR.flag: text_pair_column,
        LABEL.flag: label_column,
        GROUP.flag: group_column,
    }
    if text_column is None and text_pair_column is None:
        given |= known_pair(table, {label_column, group_column}, task_name)
    roles = [SENTENCE]
    if given[PAIR.flag] is not None:
        roles.append(PAIR)
    roles.append(LABEL)
    if group_column is not None:
        roles.append(GROUP)
    optional = () if needs_labels else (LABEL,)
    chosen = choose_columns(table, roles, given, optional=optional, source_columns=source_columns)
    label_column = chosen.get(LABEL.name)
    labels = None if label_column is None else label_values(table, label_column, needs_labels)
    if regression is None:
        regression = task_name in REGRESSION_TASKS or (
            task_name is None and labels is not None and is_real(labels)
        )
    classes = Classes(table)
    columns = {
        role.name: _sentences(table, chosen[role.name])
        for role in (SENTENCE, PAIR)
        if role.name in chosen
    }
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
        "columns": chosen,
    }


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
