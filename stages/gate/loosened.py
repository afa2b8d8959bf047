"""What holds a branch to less than its base: loosened gates, retired metrics, other test data.

Pure functions over what `stages.gate.inputs` reads.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from stages.core.errors import InputError
from stages.gate.baselines import best_baseline, is_higher_better, lead
from stages.gate.changes import known_at_base, name_of, section_of, seeds_of
from stages.gate.data_sums import ChangedData
from stages.gate.files import baselines_of, is_finite
from stages.gate.limits import NO_GATE, Gate, Tolerance, shown
from stages.gate.rules import Verdict
from stages.gate.schema import LOOSENED, RETIRED, parse_gates, switched_off

# Parameters that leave rows of the test file out.
ROW_LIMITS = ("max_eval_samples", "max_predict_samples")


class Loosened(NamedTuple):
    """One thing that holds a branch to less than its base: `line` names it, old and new."""

    task: str
    metric: str
    line: str


def find_retired(params, base_params, base_metrics, tasks=None) -> list[Loosened]:
    """The tasks and metrics of the base that this branch gives up; a pattern is one of them."""
    here, there = parse_gates(params, tasks), parse_gates(base_params, tasks)
    retired = (here.retired | here.patterns) - (there.retired | there.patterns)
    return [
        Loosened(task, metric, f"{name_of(task, metric)} judged -> {RETIRED}")
        for task, metric in sorted(retired)
        if known_at_base(task, metric, base_params, base_metrics)
    ]


def find_loosened(params, base_params, tasks=None) -> list[Loosened]:
    """What this branch removed, switched off or made easier to hold; not what it gives up."""
    gates = parse_gates(params, tasks)
    found = []
    for task, group in parse_gates(base_params, tasks).held.items():
        if (task, "") in gates.retired:
            continue
        if switched_off(params, task) and not switched_off(base_params, task):
            found.append(Loosened(task, "", f"{task} enabled true -> false"))
        if any(gate.deviations is not None for gate in group.values()):
            old, new = seeds_of(base_params, task), seeds_of(params, task)
            if not all(seed in new for seed in old):
                found.append(Loosened(task, "", f"{task} seeds {old} -> {new}"))
        for name in ROW_LIMITS:
            old, new = (_row_limit(one, task, name) for one in (base_params, params))
            if new is not None and (old is None or new < old):
                found.append(Loosened(task, "", f"{task} {name} {shown(old)} -> {shown(new)}"))
        for metric, old in group.items():
            # By its name: a pattern must not hide that a gate was taken out.
            if (task, metric) in gates.retired:
                continue
            new = gates.held.get(task, {}).get(metric, NO_GATE)
            found += [
                Loosened(task, metric, f"{name_of(task, metric)} {change}")
                for change in looser_limits(old, new)
            ]
    return found


def _row_limit(params: Mapping, task: str, name: str) -> float | None:
    value = section_of(params, "tasks", task).get(name)
    return value if is_finite(value) else None


def looser_limits(old: Gate, new: Gate) -> list[str]:
    """The limits of a gate that are easier to hold than they were: `min 0.9 -> 0.8`."""
    changes = []
    if old.min is not None and (new.min is None or new.min < old.min):
        changes.append(f"min {shown(old.min)} -> {shown(new.min)}")
    if old.max is not None and (new.max is None or new.max > old.max):
        changes.append(f"max {shown(old.max)} -> {shown(new.max)}")
    if old.tolerance is not None and (
        new.tolerance is None
        or new.tolerance.relative != old.tolerance.relative
        or new.tolerance.amount > old.tolerance.amount
    ):
        changes.append(f"tolerance {shown(old.tolerance)} -> {shown(new.tolerance)}")
    if old.beats is not None and new.beats is None:
        changes.append(f"beats {old.beats} -> none")
    elif old.beats is not None and (margin := _looser_margin(old.margin, new.margin)):
        changes.append(margin)
    if (old.deviations or 0) > (new.deviations or 0):
        changes.append(f"deviations {shown(old.deviations)} -> {shown(new.deviations)}")
    if new.worse and not old.worse <= new.worse:
        changes.append(f"better {old.direction} -> {new.direction}")
    return changes


def _looser_margin(old: Tolerance | None, new: Tolerance | None) -> str:
    """A smaller margin, or one in another form; "" where it is none."""
    if old is None or not old.amount:
        return ""
    same = new is not None and new.relative == old.relative
    return "" if same and new.amount >= old.amount else f"margin {old} -> {shown(new)}"


def find_lower_baselines(params, metrics, base_params, base_metrics, tasks=None) -> list[Loosened]:
    """The baselines that a gate with `beats` holds a metric to and that were better at the base.

    Not those of tasks whose test data changed: `base_metrics` are to be without these.
    """
    found = []
    base_gates = parse_gates(base_params, tasks).held
    for task, group in parse_gates(params, tasks).held.items():
        for metric, gate in group.items():
            if gate.beats is None or base_gates.get(task, {}).get(metric, NO_GATE).beats is None:
                continue
            new, old = (
                best_baseline(metric, gate, _figures(one, baselines_of(task)), _figures(one, task))
                for one in (metrics, base_metrics)
            )
            if new is None or old is None:
                continue
            allowed = (gate.tolerance or Tolerance(0, relative=False)).of(Decimal(str(old.value)))
            texts = [f"{one.value:.6g}" for one in (old, new)]
            fell = lead(old.value, new, is_higher_better(metric, gate)) > allowed
            if fell and texts[0] != texts[1]:
                line = f"{name_of(task, metric)} baseline {' -> '.join(texts)}"
                found.append(Loosened(task, metric, line))
    return found


def _figures(metrics: Mapping, file: str) -> Mapping:
    found = metrics.get(file, {})
    return {} if isinstance(found, InputError) else found


def name_changed(changed: Mapping[str, ChangedData]) -> list[Loosened]:
    """Test data that are others than at the base, so that the figures cannot be compared."""
    return [
        Loosened(task, "", f"{task} test data {one.old} -> {one.new}")
        for task, one in changed.items()
    ]


def refuse_loosened(
    loosened: Iterable[Loosened], params: Mapping, base_params: Mapping
) -> list[Verdict]:
    """A verdict for each that no line of `gates.loosened` owns up to.

    A line may go on with a reason in brackets. One that the base has too was for an earlier change.
    """
    earlier = parse_gates(base_params).loosened
    lines = [line for line in parse_gates(params).loosened if line not in earlier]
    verdicts = []
    for one in loosened:
        if any(line == one.line or line.startswith(f"{one.line} (") for line in lines):
            continue
        text = (
            f"params.yaml: {one.line}, which holds it to less than the base does; take that back, "
            f"or add to gates.{LOOSENED} the line '- {one.line}'"
        )
        if any(line.startswith(one.line) for line in earlier):
            text += " with a reason in brackets, as the base has it already"
        verdicts.append(Verdict(one.task, one.metric, LOOSENED, 1, text))
    return verdicts
