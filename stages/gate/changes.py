"""What a branch changed besides its figures: tasks and metrics gone or new, gates, versions.

Pure functions over what `stages.gate.files` and `stages.gate.base` read.
"""

from collections.abc import Mapping

from stages.core.errors import InputError
from stages.gate.files import AGAIN, is_finite
from stages.gate.rules import Verdict
from stages.gate.schema import NO_GATE, RETIRED, parse_gates, shown, switched_off


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
        for metric, value in _without(theirs, {*ours, *held}).items():
            if (task, metric) in gates.retired:
                verdicts.append(Verdict(task, metric, RETIRED, base=value))
                continue
            text = (
                f"metrics/{task}.json: the base has {metric}, here it is gone; {AGAIN}, or write "
                f"gates.{task}.{metric}: {RETIRED} in params.yaml"
            )
            verdicts.append(Verdict(task, metric, "gone", 2, text, base=value))
        for metric, value in _without(ours, {*theirs, *held}).items():
            verdicts.append(Verdict(task, metric, "new", value=value))
    return verdicts


def _without(metrics: Mapping, known: set[str]) -> dict[str, float]:
    """The figures among `metrics` under other names than `known`."""
    return {
        metric: value
        for metric, value in metrics.items()
        if is_finite(value) and metric not in known
    }


def done_retiring(params, base_params, base_metrics, tasks=None) -> list[str]:
    """Say which `retired` of `params.yaml` the base needs no more."""
    lines = []
    for task, metric in sorted(parse_gates(params, tasks).retired):
        there = base_metrics.get(task, {})
        known = metric in there if metric else task in task_names(base_params)
        if not known and not isinstance(there, InputError):
            name = f"{task}.{metric}" if metric else task
            lines.append(f"gates.{name} is retired, and the base has it no more; take it out")
    return lines


def loosened_gates(params, base_params, tasks=None) -> list[str]:
    """Say which gates of the base this branch removed, switched off or made easier to hold."""
    gates = parse_gates(params, tasks).held
    lines = []
    for task, group in parse_gates(base_params, tasks).held.items():
        if switched_off(params, task) and not switched_off(base_params, task):
            lines.append(f"loosened: tasks.{task} is switched off; none of its gates counts")
        for metric, old in group.items():
            new = gates.get(task, {}).get(metric, NO_GATE)
            changes = []
            if old.min is not None and (new.min is None or new.min < old.min):
                changes.append(f"min {old.min} -> {shown(new.min)}")
            if old.max is not None and (new.max is None or new.max > old.max):
                changes.append(f"max {old.max} -> {shown(new.max)}")
            if old.tolerance is not None and (
                new.tolerance is None
                or new.tolerance.relative != old.tolerance.relative
                or new.tolerance.amount > old.tolerance.amount
            ):
                changes.append(f"tolerance {shown(old.tolerance)} -> {shown(new.tolerance)}")
            if (old.deviations or 0) > (new.deviations or 0):
                changes.append(f"deviations {shown(old.deviations)} -> {shown(new.deviations)}")
            if new.worse and not old.worse <= new.worse:
                changes.append("the other direction counts as better")
            if changes:
                lines.append(f"loosened: gates.{task}.{metric}: {', '.join(changes)}")
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
