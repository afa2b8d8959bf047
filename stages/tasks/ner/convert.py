"""The standard form of named-entity recognition: JSON lines with tokens and ner_tags."""

from pathlib import Path

from pydantic import Field

from stages.core.files import write_json_lines
from stages.data.source import Converted, DataSource
from stages.tasks.ner.examples import read_examples


class Source(DataSource):
    """Keys of `tasks.ner.data`."""

    text_column_name: str | None = Field(None, description="column of the tokens")
    label_column_name: str | None = Field(None, description="column of the tags")


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    examples = read_examples(
        path, text_column=source.text_column_name, label_column=source.label_column_name
    )
    rows = zip(examples.tokens, examples.tags, strict=True)
    write_json_lines(target, ({"tokens": tokens, "ner_tags": tags} for tokens, tags in rows))
    return Converted(len(examples), examples)
