"""The worst mistakes on a split, out of the predictions in `results/KEY`, for the report.

A task that has a `mistakes` module decides itself what is worst: a wrong class that the model was
surest of, the summary that shares least with its reference. `find_mistakes` here serves all others.
Nothing is drawn at random.
"""

import heapq
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.training.results import PREDICTIONS

SHOWN = 8

# Characters of a file that are read at once.
_PIECE = 1 << 16
_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"\s*")
_COLON = re.compile(r"\s*:\s*")
_NEXT = re.compile(r"\s*([,}])\s*")


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
    judged = 0

    def ranked() -> Iterator[tuple[float, Mistake]]:
        nonlocal judged
        for row in (row for path in files for row in read_lines(path)):
            if not {"label", "prediction"} <= row.keys():
                continue
            judged += 1
            if row["label"] != row["prediction"]:
                parts = [(name, str(value)) for name, value in row.items() if name != "loss"]
                note = f"loss {row['loss']:.3g} nats" if "loss" in row else ""
                yield row.get("loss", 0.0), Mistake(parts, note)

    found = worst(ranked())
    return found if judged else None


def worst(ranked: Iterable[tuple[float, Mistake]]) -> list[Mistake]:
    """The `SHOWN` of highest rank; of equals, those that come first in the file."""
    return [one for _, one in heapq.nsmallest(SHOWN, ranked, key=lambda pair: -pair[0])]


def read_lines(path: Path) -> Iterator[dict]:
    """The rows of a JSON lines file, one by one.

    Raises:
        InputError: a line that is not JSON.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}: line {number}: {error}; run make repro") from None


def read_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The keys and values of the JSON object in a file, one by one.

    Raises:
        InputError: something else than a JSON object, perhaps after some entries.
    """
    with path.open(encoding="utf-8") as file:
        text = file.read(_PIECE)
        begin = re.match(r"\s*\{\s*(\}\s*$)?", text)
        if begin is None:
            raise InputError(f"{path}: not a JSON object; run make repro")
        place = begin.end()
        mark = "}" if begin[1] else ","
        while mark == ",":
            try:
                key, value, mark, end = _entry(text, place)
            except ValueError as error:
                # Perhaps there is only half of it; of a long one, twice as much is read each time.
                piece = file.read(max(_PIECE, len(text) - place))
                if not piece:
                    raise InputError(f"{path}: {error}; run make repro") from None
                text, place = text[place:] + piece, 0
                continue
            yield key, value
            place = end
        if text[place:].strip() or file.read().strip():
            raise InputError(f"{path}: something stands behind the object; run make repro")


def _entry(text: str, place: int) -> tuple[str, Any, str, int]:
    """Key and value from `place` on, the mark behind them, and the place behind that.

    Raises:
        ValueError: there is no whole entry.
    """
    key, place = _DECODER.raw_decode(text, _BLANK.match(text, place).end())
    colon = _COLON.match(text, place)
    if colon is None or not isinstance(key, str):
        raise ValueError("expected a key and a colon")
    value, place = _DECODER.raw_decode(text, colon.end())
    mark = _NEXT.match(text, place)
    if mark is None:
        raise ValueError("expected a comma or the end of an object")
    return key, value, mark[1], mark.end()
