"""The standard form of text for causal language modelling: JSON lines, a document a row."""

from pathlib import Path

from stages.core.files import write_json_lines
from stages.tasks.text.convert import Source
from stages.tasks.text.documents import read_texts


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form, blanks as they are; number of documents."""
    texts = read_texts(path, source.text_column_name)
    write_json_lines(target, ({"text": text} for text in texts))
    return len(texts)
