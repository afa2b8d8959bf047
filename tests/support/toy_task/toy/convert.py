"""The standard form of the toy task: CSV with sentence and asks."""

import csv
import io
from pathlib import Path

from pydantic import Field
from stages.tasks.toy.examples import LABELS, read_examples

from stages.core.files import write_text
from stages.data.source import Converted, DataSource


class Source(DataSource):
    """Keys of `tasks.toy.data`."""

    label_column_name: str | None = Field(None, description="column of the label")


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    examples = read_examples(path, label_column=source.label_column_name or "asks")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sentence", "asks"])
    writer.writerows([sentence, LABELS[label]] for sentence, label in zip(*examples, strict=True))
    write_text(target, text.getvalue())
    return Converted(len(examples.labels))
