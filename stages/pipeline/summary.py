"""What a run of the pipeline came to: how each stage ended, its time, and which figures moved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stages.core.files import write_json
from stages.core.text_table import format_change, plain_table
from stages.gate.files import Unusable, is_finite, parse_metrics

RAN = "ran"
# Nothing had changed, or DVC had the outputs of this very run in its cache.
CACHED = "cached"
FAILED = "failed"
# Never started: what it needs failed, or something else did and nobody asked to go on.
SKIPPED = "skipped"

# Beside the other times of a run, which Git does not hold.
SECONDS = Path("runs/stages.json")

Figures = dict[tuple[str, str], float]


class Outcome(NamedTuple):
    """How a stage ended.

    fate: one of `RAN`, `CACHED`, `FAILED`, `SKIPPED`.
    seconds: how long that took.
    reason: of a failure, its line of error.
    """

    fate: str
    seconds: float = 0.0
    reason: str = ""


def read_figures(folder: Path = Path("metrics")) -> Figures:
    """{(task, metric): value} of all metrics files that can be read; the gate judges the rest.

    Of a task with further seeds, mean and deviation stand beside the figures of its main run.
    """
    figures = {}
    for path in sorted([*folder.glob("*.json"), *folder.glob("seeds/*.json")]):
        try:
            metrics = parse_metrics(str(path), path.read_bytes())
        except (OSError, Unusable):
            continue
        found = {name: value for name, value in metrics.items() if is_finite(value)}
        figures |= {(path.stem, name): value for name, value in found.items()}
    return figures


def summary(ended: Mapping[str, Outcome], before: Figures, after: Figures) -> list[str]:
    """The lines that end a run: a table of stages, one of figures that moved, then the failures.

    Args:
      ended: how each stage ended.
      before, after: what `read_figures` gave before and after.
    """
    if not ended:
        return []
    rows = [["stage", "time", "outcome"]]
    for stage, one in ended.items():
        rows.append([stage, "" if one.fate == SKIPPED else clock(one.seconds), one.fate])
    lines = ["", *plain_table(rows).splitlines()]
    fates = [one.fate for one in ended.values()]
    counts = {fate: fates.count(fate) for fate in (RAN, CACHED, FAILED, SKIPPED)}
    lines.append(", ".join(f"{count} {fate}" for fate, count in counts.items() if count))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if changed:
        rows = [["task", "metric", "before", "now", "change"]]
        for key in changed:
            old, new = before.get(key), after.get(key)
            figures = ("-" if one is None else f"{one:.6g}" for one in (old, new))
            rows.append([*key, *figures, format_change(old, new)])
        lines += ["", *plain_table(rows).splitlines()]
    elif RAN in fates:
        lines.append("no figure moved")
    failures = {stage: one.reason for stage, one in ended.items() if one.fate == FAILED}
    if failures:
        lines += ["", *(f"failed: {stage}: {reason}" for stage, reason in failures.items())]
        lines.append(
            "what a failed stage had made before is gone; mend the cause and run again, or "
            "make restore"
        )
    return lines


def note_seconds(ended: Mapping[str, Outcome], path: Path = SECONDS) -> None:
    """Note in `path` how long each stage that ran took, beside what is there of earlier runs."""
    took = {stage: round(one.seconds, 1) for stage, one in ended.items() if one.fate == RAN}
    if took:
        write_json(path, read_seconds(path) | took)


def read_seconds(path: Path = SECONDS) -> dict[str, float]:
    """{stage: seconds} of the last run of each; nothing where none was noted."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def clock(seconds: float) -> str:
    """`75.2` as `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
