"""The standard form of running text: paragraphs as lines, an empty line after each document."""

from dataclasses import dataclass
from pathlib import Path

from stages.core.arguments import flag
from stages.core.files import write_text
from stages.data import source
from stages.tasks.text.documents import read_documents


@dataclass(kw_only=True)
class Source(source.Source):
    """Keys of `tasks.TASK.data` where the task reads running text."""

    text_column_name: str | None = flag(None, "column of the text, where the file has columns")


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form; the number of documents."""
    documents = read_documents(path, source.text_column_name)
    write_text(target, "\n".join("\n".join(document) + "\n" for document in documents))
    return len(documents)
