"""The worst mistakes on a split, out of the predictions in `results/KEY`, for the report.

A task that has a `mistakes` module decides itself what is worst: a wrong class that the model was
surest of, the summary that shares least with its reference. `find_mistakes` here serves all others.
Nothing is drawn at random.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import InputError
from stages.training.results import PREDICTIONS

SHOWN = 8


@dataclass(frozen=True)
class Mistake:
    """One mistake as the page shows it.

    parts: (label, text) in the order of reading.
    note: why it is listed.
    words: of a tagged sentence: (word, true tag, predicted tag).
    audio: content of a FLAC, WAV, OGG or MP3 file to play; None if there is none.
    """

    parts: list[tuple[str, str]]
    note: str
    words: list[tuple[str, str, str]] = field(default_factory=list)
    audio: bytes | None = None


def find_mistakes(results: Path, data: Path) -> list[Mistake] | None:
    """Rows whose `prediction` is not their `label`, those with the largest `loss` first.

    Rows without a loss keep the order of the file.

    Args:
        results: folder of the predictions.
        data: folder of the task's data, for what the predictions do not repeat.

    Returns:
        At most `SHOWN`; None if no row has both a label and a prediction.
    """
    files = [results / name for name in PREDICTIONS.values() if (results / name).is_file()]
    rows = [row for path in files for row in read_lines(path)]
    rows = [row for row in rows if {"label", "prediction"} <= row.keys()]
    if not rows:
        return None
    ranked = []
    for row in rows:
        if row["label"] != row["prediction"]:
            parts = [(name, str(value)) for name, value in row.items() if name != "loss"]
            note = f"loss {row['loss']:.3g} nats" if "loss" in row else ""
            ranked.append((row.get("loss", 0.0), Mistake(parts, note)))
    return worst(ranked)


def worst(ranked: Iterable[tuple[float, Mistake]]) -> list[Mistake]:
    """The `SHOWN` of highest rank; of equals, those that come first in the file."""
    return [one for _, one in sorted(ranked, key=lambda pair: -pair[0])[:SHOWN]]


def read_lines(path: Path) -> list[dict]:
    """The rows of a JSON lines file.

    Raises:
        InputError: a line that is not JSON.
    """
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"{path}: line {number}: {error}; run make repro") from None
    return rows
