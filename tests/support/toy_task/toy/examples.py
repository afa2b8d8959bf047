"""Rows of the toy task: a sentence, and whether it asks."""

from typing import NamedTuple

from stages.core.errors import InputError
from stages.data.tables import read_table

LABELS = ["no", "yes"]


class Examples(NamedTuple):
    """Sentences, and their labels as indices into `LABELS`."""

    sentences: list[str]
    labels: list[int]


def read_examples(path: str, limit: int | None = None, label_column: str = "asks") -> Examples:
    """The rows of a table with a column `sentence`.

    Raises:
        InputError: a label that is neither `no` nor `yes`, with its row.
    """
    table = read_table(path).first(limit)
    labels = table.column(label_column)
    for row, label in enumerate(labels):
        if label not in LABELS:
            raise InputError(f"{table.where(row)}: {label_column} is {label!r}; write no or yes")
    return Examples(list(table.column("sentence")), [LABELS.index(label) for label in labels])
