"""The standard form of question answering: JSON lines, one question with its context a line."""

from pathlib import Path

from stages.core.files import write_json_lines
from stages.data.source import Converted, DataSource
from stages.tasks.qa.examples import read_examples


class Source(DataSource):
    """Keys of `tasks.qa.data`: no more than every task has."""


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form."""
    # Whether questions without answer are wanted is the training's to say.
    examples = read_examples(path, version_2_with_negative=True)
    columns = zip(examples.questions, examples.contexts, examples.references(), strict=True)
    rows = (
        {"id": one["id"], "question": question, "context": context, "answers": one["answers"]}
        for question, context, one in columns
    )
    write_json_lines(target, rows)
    return Converted(len(examples))
