"""The standard form of running text: paragraphs as lines, an empty line after each document."""

from pathlib import Path

from pydantic import Field

from stages.core.files import write_text
from stages.data.source import DataSource
from stages.tasks.text.documents import read_documents


class Source(DataSource):
    """Keys of `tasks.TASK.data` where the task reads running text."""

    text_column_name: str | None = Field(
        None, description="column of the text, where the file has columns"
    )


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form; the number of documents."""
    documents = read_documents(path, source.text_column_name)
    write_text(target, "\n".join("\n".join(document) + "\n" for document in documents))
    return len(documents)
