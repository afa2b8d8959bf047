"""The standard form of text classification: CSV with sentence1, perhaps sentence2, and label."""

import csv
from pathlib import Path
from typing import Literal

from pydantic import Field

from stages.core.files import atomic_file
from stages.data.source import Converted, DataSource
from stages.data.tables import read_table
from stages.tasks.glue.columns import TASK_COLUMNS
from stages.tasks.glue.examples import read_examples


class Source(DataSource):
    """Keys of `tasks.glue.data`."""

    task_name: Literal[tuple(TASK_COLUMNS)] | None = Field(
        None, description="GLUE task whose columns these are"
    )
    text_column_name: str | None = Field(
        None, description="column of the sentence, or of the first of two"
    )
    text_pair_column_name: str | None = Field(None, description="column of the second sentence")
    label_column_name: str | None = Field(None, description="column of the label")
    group_column_name: str | None = Field(
        None, description="a column to keep, to report accuracy by"
    )


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    examples = read_examples(
        read_table(path),
        text_column=source.text_column_name,
        text_pair_column=source.text_pair_column_name,
        label_column=source.label_column_name,
        group_column=source.group_column_name,
        task_name=source.task_name,
    )
    columns = {"sentence1": examples.sentence1}
    if examples.sentence2 is not None:
        columns["sentence2"] = examples.sentence2
    columns["label"] = map(float, examples.labels) if examples.regression else examples.labels
    if source.group_column_name:
        columns[source.group_column_name] = examples.groups
    with (
        atomic_file(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        # Not every Python quotes a carriage return, which would end the row.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            (quoting if any("\r" in str(cell) for cell in row) else writer).writerow(row)
    return Converted(len(examples), examples)
