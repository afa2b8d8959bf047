"""The worst mistakes of a speech recogniser, for the report."""

from collections.abc import Iterable
from pathlib import Path

import jiwer
import pyarrow.parquet

from stages.tasks.mistakes import SHOWN, Mistake, read_lines
from stages.training.results import PREDICTIONS


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The clips with the highest word error rate, and their sound."""
    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        if not row.get("text") or row["text"] == row["prediction"]:
            continue
        rate = jiwer.wer(row["text"], row["prediction"])
        parts = [("text", row["text"]), ("prediction", row["prediction"])]
        ranked.append((rate, row["path"], parts))
    ranked = sorted(ranked, key=lambda one: (-one[0], one[1]))[:SHOWN]
    clips = read_clips(data, {path for _, path, _ in ranked})
    return [
        Mistake(parts, f"word error rate {rate:.2f}", audio=clips.get(path))
        for rate, path, parts in ranked
    ]


def read_clips(data: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The content of these clips, out of the Parquet file of the test split."""
    path = data / "test.parquet"
    if not path.is_file():
        return {}
    audio = pyarrow.parquet.read_table(path, columns=["audio"])["audio"].to_pylist()
    return {one["path"]: one["bytes"] for one in audio if one["path"] in wanted and one["bytes"]}
