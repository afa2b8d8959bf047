"""The worst mistakes of a speech recogniser, for the report."""

import heapq
from collections.abc import Collection, Iterator
from pathlib import Path

import jiwer
import pyarrow.parquet

from stages.tasks.mistakes import SHOWN, Mistake, read_lines
from stages.training.results import PREDICTIONS

# Clips that are read at once.
_CLIPS = 64


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The clips with the highest word error rate, and their sound."""
    ranked = heapq.nsmallest(SHOWN, _ranked(results), key=lambda one: (-one[0], one[1]))
    clips = read_clips(data, {path for _, path, _ in ranked})
    return [
        Mistake(parts, f"word error rate {rate:.2f}", audio=clips.get(path))
        for rate, path, parts in ranked
    ]


def _ranked(results: Path) -> Iterator[tuple[float, str, list[tuple[str, str]]]]:
    for row in read_lines(results / PREDICTIONS["eval"]):
        if not row.get("text") or row["text"] == row["prediction"]:
            continue
        rate = jiwer.wer(row["text"], row["prediction"])
        parts = [("text", row["text"]), ("prediction", row["prediction"])]
        yield rate, row["path"], parts


def read_clips(data: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The content of these clips, out of the Parquet file of the test split."""
    path = data / "test.parquet"
    if not path.is_file():
        return {}
    found = {}
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(_CLIPS, columns=["audio"]):
        for one in batch["audio"].to_pylist():
            if one["path"] in wanted and one["bytes"]:
                found[one["path"]] = one["bytes"]
    return found
