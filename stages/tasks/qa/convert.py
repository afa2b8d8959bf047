"""The standard form of question answering: JSON lines, one question with its context a line."""

from pathlib import Path

from stages.core.files import write_json_lines
from stages.data.source import DataSource
from stages.tasks.qa.examples import read_examples


class Source(DataSource):
    """Keys of `tasks.qa.data`: no more than every task has."""


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form; the number of questions."""
    # Whether questions without answer are wanted is the training's to say.
    examples = read_examples(path, version_2_with_negative=True)
    rows = [
        {
            "id": examples.ids[row],
            "question": examples.questions[row],
            "context": examples.contexts[row],
            "answers": {"text": examples.answers[row], "answer_start": examples.starts[row]},
        }
        for row in range(len(examples))
    ]
    write_json_lines(target, rows)
    return len(rows)
