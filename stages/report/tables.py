"""The page's tables: figures, parameters, data and versions, here and at the base."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.core.text_table import format_change
from stages.gate.base import Base
from stages.gate.baselines import best_baseline
from stages.gate.data_sums import data_files
from stages.gate.files import is_finite
from stages.gate.inputs import read_records, read_versions
from stages.gate.limits import NO_GATE, Gate

# Digits of an MD5 sum that a column has room for.
DIGITS = 10
NONE = "-"


def compare(ours, theirs, simple, gates: Mapping[str, Gate]) -> list[tuple[str, ...]]:
    """(metric, baseline, base, now, change) of one task's metrics, those that changed first.

    Args:
        ours, theirs: {metric: value} here and at the base, or why there are none.
        simple: the same of its baselines.
        gates: what its metrics are held to.
    """
    ours, theirs, simple = (
        {} if isinstance(one, InputError) else one for one in (ours, theirs, simple)
    )
    rows = []
    for metric in sorted({*ours, *theirs}):
        old, new = theirs.get(metric), ours.get(metric)
        both = is_finite(old) and is_finite(new)
        change = format_change(old, new) if both else ""
        same = not theirs or (both and old == new)
        best = best_baseline(metric, gates.get(metric, NO_GATE), simple, ours)
        beside = "" if best is None else str(best)
        rows.append((same, (metric, beside, shown(old), shown(new), change)))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def shown(value) -> str:
    """A value short enough for a column; a dash if there is none."""
    return f"{value:.6g}" if is_finite(value) else NONE


def changed_params(ours: Mapping, theirs: Mapping) -> list[tuple[str, str, str]]:
    """(dotted key, value at the base, value now) of each parameter that changed."""
    here, there = dict(flattened(ours)), dict(flattened(theirs))
    keys = [*here, *(key for key in there if key not in here)]
    return [
        (key, there.get(key, NONE), here.get(key, NONE))
        for key in keys
        if here.get(key) != there.get(key)
    ]


def flattened(params: Mapping, above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, value as text) of nested mappings; a list is one value."""
    for key, value in params.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) and len(value) < 80 else quoted(value)


def compare_data(
    folder: Path, base: Base | None, tasks: Iterable[str]
) -> list[tuple[str, str, str]]:
    """(file, its sum at the base, its sum now) of the data of each task, cut short."""
    here, there = read_records(folder), read_records(folder, base) if base else {}
    rows = []
    for task in tasks:
        ours, theirs = data_files(here, task), data_files(there, task)
        rows += [
            (file, theirs.get(file, NONE)[:DIGITS], ours.get(file, NONE)[:DIGITS])
            for file in sorted({*ours, *theirs})
        ]
    return rows


def compare_versions(folder: Path, base: Base | None) -> list[tuple[str, str, str]]:
    """(package, version at the base, version now)."""
    here, there = read_versions(folder)[0], read_versions(folder, base)[0] if base else {}
    return [(name, there.get(name, NONE), here.get(name, NONE)) for name in sorted({*here, *there})]
