"""The worst mistakes of a classification or regression, for the report."""

from pathlib import Path

from stages.tasks.mistakes import Mistake, read_lines, worst
from stages.training.results import PREDICTIONS


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Wrong classes, the surest first; of a regression the numbers that are furthest off."""
    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        texts = [(name, row[name]) for name in ("sentence1", "sentence2") if name in row]
        label, prediction = row.get("label"), row["prediction"]
        parts = [*texts, ("label", str(label)), ("prediction", str(prediction))]
        if "probability" not in row:
            distance = abs(float(prediction) - float(label))
            ranked.append((distance, Mistake(parts, f"off by {distance:.3g}")))
        elif label is not None and str(label) != str(prediction):
            probability = row["probability"]
            ranked.append((probability, Mistake(parts, f"probability {probability:.3f}")))
    return worst(ranked)


def read_classes(results: Path) -> tuple[list[str], list[str]] | None:
    """Labels and predictions of all rows; None for a regression or rows without labels."""
    rows = read_lines(results / PREDICTIONS["eval"])
    if not rows or "probability" not in rows[0] or "label" not in rows[0]:
        return None
    return [str(row["label"]) for row in rows], [str(row["prediction"]) for row in rows]
