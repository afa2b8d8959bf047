"""The standard form of running text: paragraphs as lines, an empty line after each document."""

from pathlib import Path

from pydantic import Field

from stages.core.files import atomic_file
from stages.data.source import Converted, DataSource
from stages.tasks.text.documents import paragraphs, read_documents


class Source(DataSource):
    """Keys of `tasks.TASK.data` where the task reads running text."""

    text_column_name: str | None = Field(
        None, description="column of the text, where the file has columns"
    )


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    documents = read_documents(path, source.text_column_name)
    with (
        atomic_file(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for number, text in enumerate(documents.texts):
            file.write("\n" * (number > 0) + "\n".join(paragraphs(text)) + "\n")
    return Converted(len(documents.texts), documents)
