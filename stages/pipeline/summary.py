"""What a run of the pipeline came to: how each stage ended, its time, and the changed metrics."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import InputError
from stages.core.files import write_json
from stages.core.progress import format_duration
from stages.core.text_table import format_change, plain_table
from stages.gate.files import is_finite, parse_metrics
from stages.pipeline.simple_methods import Baselines

RAN = "ran"
# Nothing had changed, or DVC had the outputs of this very run in its cache.
CACHED = "cached"
FAILED = "failed"
# Never started: a stage that it needs failed, or another one did and --keep-going was not given.
SKIPPED = "skipped"

# In the folder of a run's times and logs, which Git ignores.
DURATIONS = Path("runs/stages.json")

Metrics = dict[tuple[str, str], float]


class Outcome(NamedTuple):
    """How a stage ended.

    status: one of `RAN`, `CACHED`, `FAILED`, `SKIPPED`.
    seconds: how long it took.
    reason: the error line of a failed stage.
    """

    status: str
    seconds: float = 0.0
    reason: str = ""


def read_all_metrics(folder: Path = Path("metrics")) -> Metrics:
    """{(task, metric): value} of all metrics files that can be read; the gate judges the rest.

    A task with further seeds has their mean and deviation next to the metrics of its main run.
    """
    found = {}
    for path in sorted([*folder.glob("*.json"), *folder.glob("seeds/*.json")]):
        try:
            metrics = parse_metrics(str(path), path.read_bytes())
        except (OSError, InputError):
            continue
        finite = {name: value for name, value in metrics.items() if is_finite(value)}
        found |= {(path.stem, name): value for name, value in finite.items()}
    return found


def summary(
    outcomes: Mapping[str, Outcome],
    before: Metrics,
    after: Metrics,
    baselines: Baselines | None = None,
    unbeaten: Sequence[str] = (),
) -> list[str]:
    """The lines that end a run: a table of stages, one of changed metrics, then the failures.

    Args:
      outcomes: how each stage ended.
      before, after: what `read_all_metrics` gave before and after the run.
      baselines: of the metrics that a model is judged by.
      unbeaten: a line for each model that is no better than a simple method.
    """
    if not outcomes:
        return []
    rows = [["stage", "time", "outcome"]]
    for stage, one in outcomes.items():
        time = "" if one.status == SKIPPED else format_duration(one.seconds)
        rows.append([stage, time, one.status])
    lines = ["", *plain_table(rows).splitlines()]
    statuses = [one.status for one in outcomes.values()]
    counts = {status: statuses.count(status) for status in (RAN, CACHED, FAILED, SKIPPED)}
    lines.append(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if changed:
        beside = {key: str(one) for key, one in (baselines or {}).items() if key in changed}
        rows = [["task", "metric", "before", "now", "change", *["baseline"] * bool(beside)]]
        for key in changed:
            old, new = before.get(key), after.get(key)
            values = ("-" if one is None else f"{one:.6g}" for one in (old, new))
            last = [beside.get(key, "")] if beside else []
            rows.append([*key, *values, format_change(old, new), *last])
        lines += ["", *plain_table(rows).splitlines()]
    elif RAN in statuses:
        lines.append("no metric changed")
    lines += [f"warning: {line}" for line in unbeaten]
    failures = {stage: one.reason for stage, one in outcomes.items() if one.status == FAILED}
    if failures:
        lines += ["", *(f"failed: {stage}: {reason}" for stage, reason in failures.items())]
        lines.append(
            "the earlier outputs of a failed stage are gone; fix the cause and run again, or "
            "make restore"
        )
    return lines


def write_durations(outcomes: Mapping[str, Outcome], path: Path = DURATIONS) -> None:
    """Record how long each stage that ran took; keep the entries of the others."""
    took = {stage: round(one.seconds, 1) for stage, one in outcomes.items() if one.status == RAN}
    if took:
        write_json(path, read_durations(path) | took)


def read_durations(path: Path = DURATIONS) -> dict[str, float]:
    """{stage: seconds} of the last run of each stage; empty if none is recorded."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {stage: seconds for stage, seconds in entries if is_finite(seconds)}
