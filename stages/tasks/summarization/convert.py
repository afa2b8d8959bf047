"""The standard form of summarization: JSON lines with document and summary."""

from dataclasses import dataclass
from pathlib import Path

from stages.core.arguments import flag
from stages.core.files import write_json_lines
from stages.data import source
from stages.tasks.summarization.examples import read_examples


@dataclass(kw_only=True)
class Source(source.Source):
    """Keys of `tasks.summarization.data`."""

    text_column: str | None = flag(None, "column of the documents")
    summary_column: str | None = flag(None, "column of the summaries")


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form; the number of documents."""
    examples = read_examples(
        path, text_column=source.text_column, summary_column=source.summary_column
    )
    rows = [
        {"document": document, "summary": summary}
        for document, summary in zip(examples.documents, examples.summaries, strict=True)
    ]
    write_json_lines(target, rows)
    return len(rows)
