"""What a branch changed besides its figures: tasks and metrics gone or new, gates, versions.

Pure functions over what `stages.gate.files` and `stages.gate.base` read.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.core.errors import InputError, quoted
from stages.gate.files import AGAIN, is_finite, mean_of
from stages.gate.rules import Verdict, judge_tolerance
from stages.gate.schema import (
    LOOSENED,
    NO_GATE,
    RETIRED,
    Gate,
    parse_gates,
    shown,
    switched_off,
)


def task_names(params: Mapping) -> list[str]:
    """The tasks of parsed params; none where they are not a mapping."""
    known = params.get("tasks")
    return [str(task) for task in known] if isinstance(known, Mapping) else []


def judge_presence(params, metrics, base_params, base_metrics, tasks=None) -> list[Verdict]:
    """Judge what one side has and the other lacks, beyond what gates say of their own metrics.

    A task or metric that only the base has is a failure, as it would else no longer be watched;
    unless `gates.TASK` or `gates.TASK.METRIC` says `retired`. One that only the branch has is
    reported. Arguments are those of `stages.gate.rules.evaluate_gates`.
    """
    gates = parse_gates(params, tasks)
    here = task_names(params)
    wanted = {*tasks} if tasks else {*here, *task_names(base_params)}
    verdicts = []
    for task in task_names(base_params):
        if task not in wanted or task in here:
            continue
        if (task, "") in gates.retired:
            verdicts.append(Verdict(task, "", RETIRED))
            continue
        text = (
            f"params.yaml: the base has the task {task}, and tasks.{task} is gone; bring it back, "
            f"or write gates.{task}: {RETIRED}"
        )
        verdicts.append(Verdict(task, "", "gone", 2, text))
    for task in here:
        ours, theirs = metrics.get(task, {}), base_metrics.get(task, {})
        off = switched_off(params, task) or switched_off(base_params, task)
        if (
            task not in wanted
            or off
            or isinstance(ours, InputError)
            or isinstance(theirs, InputError)
        ):
            continue
        held = gates.held.get(task, {})
        ours, theirs, all_ours = figures(ours), figures(theirs), ours
        for metric, value in theirs.items():
            if metric in ours or metric in held:
                continue
            if (task, metric) in gates.retired:
                verdicts.append(Verdict(task, metric, RETIRED, base=value))
                continue
            now = f"no number but {quoted(all_ours[metric])}" if metric in all_ours else "gone"
            text = (
                f"metrics/{task}.json: the base has {metric}, here it is {now}; {AGAIN}, or write "
                f"gates.{task}.{metric}: {RETIRED} in params.yaml"
            )
            verdicts.append(Verdict(task, metric, "gone", 2, text, base=value))
        for metric, value in ours.items():
            if metric not in theirs and metric not in held:
                verdicts.append(Verdict(task, metric, "new", value=value))
    return verdicts


def figures(metrics: Mapping) -> dict[str, float]:
    """The metrics that are numbers: a null or a text is none."""
    return {metric: value for metric, value in metrics.items() if is_finite(value)}


def done_retiring(params, base_params, base_metrics, tasks=None) -> list[str]:
    """Say which `retired` of `params.yaml` the base needs no more."""
    lines = []
    for task, metric in sorted(parse_gates(params, tasks).retired):
        there = base_metrics.get(task, {})
        known = known_at_base(task, metric, base_params, base_metrics)
        if not known and not isinstance(there, InputError):
            name = name_of(task, metric)
            lines.append(f"gates.{name} is retired, and the base has it no more; take it out")
    return lines


def known_at_base(task: str, metric: str, base_params, base_metrics) -> bool:
    """Whether the base has a metric, or a task where the metric is empty."""
    there = base_metrics.get(task, {})
    if not metric:
        return task in task_names(base_params)
    return not isinstance(there, InputError) and metric in there


class Loosened(NamedTuple):
    """One thing that holds a branch to less than its base: `line` names it, old and new."""

    task: str
    metric: str
    line: str


def find_retired(params, base_params, base_metrics, tasks=None) -> list[Loosened]:
    """The tasks and metrics of the base that this branch gives up."""
    retired = parse_gates(params, tasks).retired - parse_gates(base_params, tasks).retired
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
        for metric, old in group.items():
            if (task, metric) in gates.retired:
                continue
            new = gates.held.get(task, {}).get(metric, NO_GATE)
            found += [
                Loosened(task, metric, f"{name_of(task, metric)} {change}")
                for change in looser_limits(old, new)
            ]
    return found


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
    if (old.deviations or 0) > (new.deviations or 0):
        changes.append(f"deviations {shown(old.deviations)} -> {shown(new.deviations)}")
    if new.worse and not old.worse <= new.worse:
        changes.append(f"better {old.direction} -> {new.direction}")
    return changes


def name_of(task: str, metric: str) -> str:
    """`TASK.METRIC`, or `TASK` where the metric is empty."""
    return f"{task}.{metric}" if metric else task


def seeds_of(params: Mapping, task: str) -> list:
    """`seeds.TASK`; none where it is no list."""
    seeds = params.get("seeds")
    listed = seeds.get(task) if isinstance(seeds, Mapping) else None
    return listed if isinstance(listed, list) else []


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


def moved_figures(params, metrics, committed, tasks=None) -> list[str]:
    """Say which figures differ from the committed ones, up or down, by more than their tolerance.

    Args:
      params: the parsed `params.yaml`.
      metrics: {file: metrics} of the working tree.
      committed: the same of the last commit.
      tasks: look only at these.
    """
    lines = []
    for task, group in parse_gates(params, tasks).held.items():
        for metric, gate in group.items():
            file, name = (task, metric) if gate.deviations is None else mean_of(task, metric)
            sides = (metrics.get(file, {}), committed.get(file, {}))
            now, then = (None if isinstance(one, InputError) else one.get(name) for one in sides)
            if gate.tolerance is None or not (is_finite(now) and is_finite(then)):
                continue
            if beyond := judge_tolerance(gate.tolerance, now, then, {"falling", "rising"}):
                lines.append(f"metrics/{file}.json: {name}: {beyond} the committed figure, {then}")
    return lines


def changed_versions(here: Mapping, base: Mapping) -> list[str]:
    """Say which libraries changed: figures may have moved for that alone.

    Args:
      here, base: {package: version}, as `versions.json` has them.
    """
    names = sorted({*here, *base})
    changed = [
        f"{name} {base.get(name, 'none')} -> {here.get(name, 'none')}"
        for name in names
        if here.get(name) != base.get(name)
    ]
    return [f"other versions than at the base: {', '.join(changed)}"] if changed else []
