"""The worst mistakes of a named-entity recogniser, for the report."""

from collections.abc import Iterator
from pathlib import Path

from stages.tasks.mistakes import Mistake, read_lines, worst
from stages.training.results import PREDICTIONS


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The sentences with the most wrong tags."""
    return worst(_ranked(results))


def _ranked(results: Path) -> Iterator[tuple[float, Mistake]]:
    for row in read_lines(results / PREDICTIONS["eval"]):
        words = list(zip(row["tokens"], row["ner_tags"], row["predictions"], strict=True))
        wrong = sum(label != prediction for _, label, prediction in words)
        if wrong:
            note = f"{wrong} of {len(words)} tags wrong"
            yield wrong, Mistake([], note, words)
