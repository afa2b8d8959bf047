"""The standard form of text for causal language modelling: JSON lines, a document a row."""

from pathlib import Path

from stages.core.files import write_json_lines
from stages.data.source import Converted
from stages.tasks.text.convert import Source
from stages.tasks.text.documents import read_documents


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form, blanks as they are."""
    documents = read_documents(path, source.text_column_name)
    write_json_lines(target, ({"text": text} for text in documents.texts))
    return Converted(len(documents.texts), documents)
