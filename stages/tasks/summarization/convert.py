"""The standard form of summarization: JSON lines with document and summary."""

from pathlib import Path

from pydantic import Field

from stages.core.files import write_json_lines
from stages.data.source import Converted, DataSource
from stages.tasks.summarization.examples import read_examples


class Source(DataSource):
    """Keys of `tasks.summarization.data`."""

    text_column: str | None = Field(None, description="column of the documents")
    summary_column: str | None = Field(None, description="column of the summaries")


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    examples = read_examples(
        path, text_column=source.text_column, summary_column=source.summary_column
    )
    rows = zip(examples.documents, examples.summaries, strict=True)
    write_json_lines(target, ({"document": text, "summary": summary} for text, summary in rows))
    return Converted(len(examples), examples)
