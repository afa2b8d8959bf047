"""The worst mistakes of a classification or regression, for the report."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from stages.tasks.mistakes import Mistake, read_lines, worst
from stages.training.results import PREDICTIONS


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Wrong classes, the surest first; of a regression the numbers that are furthest off."""
    return worst(_ranked(results))


def _ranked(results: Path) -> Iterator[tuple[float, Mistake]]:
    for row in read_lines(results / PREDICTIONS["eval"]):
        texts = [(name, row[name]) for name in ("sentence1", "sentence2") if name in row]
        label, prediction = row.get("label"), row["prediction"]
        parts = [*texts, ("label", str(label)), ("prediction", str(prediction))]
        if "probability" not in row:
            distance = abs(float(prediction) - float(label))
            yield distance, Mistake(parts, f"off by {distance:.3g}")
        elif label is not None and str(label) != str(prediction):
            probability = row["probability"]
            yield probability, Mistake(parts, f"probability {probability:.3f}")


def read_classes(results: Path) -> Counter[tuple[str, str]] | None:
    """How often each label comes with each prediction; None for a regression or without labels."""
    rows = read_lines(results / PREDICTIONS["eval"])
    first = next(rows, {})
    if "probability" not in first or "label" not in first:
        return None
    return Counter((str(row["label"]), str(row["prediction"])) for row in chain([first], rows))
