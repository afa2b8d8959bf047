"""What a run of the pipeline came to: how each stage ended, its time, and the changed metrics."""

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import InputError
from stages.core.files import write_json
from stages.core.progress import format_duration
from stages.core.text_table import format_change, plain_table
from stages.gate.baselines import Baseline, not_beaten
from stages.gate.files import is_finite, parse_metrics
from stages.gate.limits import Gate
from stages.gate.rules import judge_tolerance
from stages.pipeline.simple_methods import Baselines

RAN = "ran"
# Nothing had changed, or DVC had the outputs of this very run in its cache.
CACHED = "cached"
FAILED = "failed"
# Never started: a stage that it needs failed, or another one did and --keep-going was not given.
SKIPPED = "skipped"

# In the folder of a run's times and logs, which Git ignores.
DURATIONS = Path("runs/stages.json")

# Of the last run that changed something: the metrics before it, so that -v can show them later.
BEFORE = Path("runs/metrics_before.json")

Metrics = dict[tuple[str, str], float]
# {(task, metric): what it is held to}
Judged = Mapping[tuple[str, str], Gate]


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
    judged: Judged | None = None,
    *,
    verbose: bool = False,
    width: int | None = None,
) -> list[str]:
    """The lines that end a run: a table of stages, one of metrics, then the failures.

    Args:
      outcomes: how each stage ended.
      before, after: what `read_all_metrics` gave before and after the run.
      baselines: of the metrics that a model is judged by.
      unbeaten: a line for each model that is no better than a simple method.
      judged, verbose, width: as in `metric_lines`.
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
    lines += metric_lines(before, after, baselines, judged, verbose=verbose, width=width)
    if before == after and RAN in statuses:
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


def metric_lines(
    before: Metrics,
    after: Metrics,
    baselines: Baselines | None = None,
    judged: Judged | None = None,
    *,
    verbose: bool = False,
    width: int | None = None,
) -> list[str]:
    """A table of the metrics that moved beyond their tolerance or missed their baseline.

    Args:
      before, after, baselines: as in `summary`.
      judged: what each metric that a model is judged by is held to. The rest is only counted.
        None shows all that changed.
      verbose: show all metrics.
      width: columns of the terminal; a wider table leaves out which method a baseline is of.
    """
    baselines, found = baselines or {}, sorted({*before, *after})
    changed = {key for key in found if before.get(key) != after.get(key)}
    if verbose:
        shown = found
    elif judged is None:
        shown = [key for key in found if key in changed]
    else:
        shown = [
            key
            for key, gate in sorted(judged.items())
            if moved(gate, before.get(key), after.get(key))
            or misses(key, gate, after.get(key), baselines.get(key))
        ]
    lines = []
    if shown:
        beside = {key: str(one) for key, one in baselines.items()}
        table = metric_table(shown, before, after, beside)
        if width is not None and max(map(len, table)) > width:
            beside = {key: f"{one.value:.6g}" for key, one in baselines.items()}
            table = metric_table(shown, before, after, beside)
        lines += ["", *table]
    if judged is not None and changed and not verbose:
        lines += count_rest(set(found).difference(shown), before, after)
    return lines


def count_rest(keys: Set[tuple[str, str]], before: Metrics, after: Metrics) -> list[str]:
    """A line that counts the metrics that a table does not show."""
    new, gone = keys - before.keys(), keys - after.keys()
    moved = {key for key in keys - new - gone if before[key] != after[key]}
    counts = {
        "moved within a tolerance or have none": len(moved),
        "are new": len(new),
        "are gone": len(gone),
        "did not move": len(keys - new - gone - moved),
    }
    parts = [f"{count} {how}" for how, count in counts.items() if count]
    return [f"other metrics: {', '.join(parts)}; make repro ARGS=-v shows them"] if parts else []


def moved(gate: Gate, old: float | None, new: float | None) -> bool:
    """Whether a metric moved beyond its tolerance, or at all where it has none."""
    if old is None or new is None or gate.tolerance is None:
        return old != new
    return bool(judge_tolerance(gate.tolerance, new, old, {"falling", "rising"}))


def misses(
    key: tuple[str, str], gate: Gate, value: float | None, baseline: Baseline | None
) -> bool:
    """Whether a metric is no better than its baseline."""
    return value is not None and bool(not_beaten(*key, gate, value, baseline))


def metric_table(
    keys: Sequence[tuple[str, str]], before: Metrics, after: Metrics, beside: Mapping
) -> list[str]:
    """A row for each metric; `beside` says what stands in the column of baselines."""
    beside = {key: text for key, text in beside.items() if key in keys}
    rows = [["task", "metric", "before", "now", "change", *["baseline"] * bool(beside)]]
    for key in keys:
        old, new = before.get(key), after.get(key)
        values = ("-" if one is None else f"{one:.6g}" for one in (old, new))
        last = [beside.get(key, "")] if beside else []
        change = "" if old == new else format_change(old, new)
        rows.append([*key, *values, change, *last])
    return plain_table(rows).splitlines()


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


def write_before(metrics: Metrics, path: Path = BEFORE) -> None:
    """Record the metrics before a run."""
    write_json(path, [[*key, value] for key, value in sorted(metrics.items())])


def read_before(path: Path = BEFORE) -> Metrics | None:
    """What `write_before` recorded; None if nothing is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {(task, metric): value for task, metric, value in found if is_finite(value)}
    except (OSError, ValueError, TypeError, RecursionError):
        return None
