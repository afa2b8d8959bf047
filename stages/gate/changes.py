"""What a branch changed besides its figures: tasks and metrics gone or new, versions.

Pure functions over what `stages.gate.inputs` reads.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from stages.core.errors import InputError, quoted
from stages.core.metric_names import is_count
from stages.gate.files import AGAIN, is_finite, mean_of
from stages.gate.rules import Verdict, judge_tolerance
from stages.gate.schema import RETIRED, parse_gates, switched_off


def task_names(params: Mapping) -> list[str]:
    """The tasks of parsed params; none where they are not a mapping."""
    known = params.get("tasks")
    return [str(task) for task in known] if isinstance(known, Mapping) else []


def judge_presence(
    params, metrics, base_params, base_metrics, tasks=None, not_compared: Collection[str] = ()
) -> list[Verdict]:
    """Judge what one side has and the other lacks, beyond what gates say of their own metrics.

    A task or metric that only the base has is a failure, as it would else no longer be watched;
    unless `gates.TASK` or `gates.TASK.METRIC` says `retired`. One that only the branch has is
    reported. Counts are neither: other data have other ones.

    Args:
      params, metrics, base_params, base_metrics, tasks: as in `stages.gate.rules.evaluate_gates`.
      not_compared: tasks with other test data than at the base.
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
            or task in not_compared
            or off
            or isinstance(ours, InputError)
            or isinstance(theirs, InputError)
        ):
            continue
        held = gates.held.get(task, {})
        ours, theirs, all_ours = figures(ours), figures(theirs), ours
        for metric, value in theirs.items():
            if metric in ours or metric in held or is_count(metric):
                continue
            if gates.gives_up(task, metric):
                verdicts.append(Verdict(task, metric, RETIRED, base=value))
                continue
            now = f"no number but {quoted(all_ours[metric])}" if metric in all_ours else "gone"
            text = (
                f"metrics/{task}.json: the base has {metric}, here it is {now}; {AGAIN}, or write "
                f"gates.{task}.{metric}: {RETIRED} in params.yaml"
            )
            verdicts.append(Verdict(task, metric, "gone", 2, text, base=value))
        for metric, value in ours.items():
            if metric not in theirs and metric not in held and not is_count(metric):
                verdicts.append(Verdict(task, metric, "new", value=value))
    return verdicts


def figures(metrics: Mapping) -> dict[str, float]:
    """The metrics that are numbers: a null or a text is none."""
    return {metric: value for metric, value in metrics.items() if is_finite(value)}


def done_retiring(params, base_params, base_metrics, tasks=None) -> list[str]:
    """Say which `retired` of `params.yaml` the base needs no more."""
    lines = []
    gates = parse_gates(params, tasks)
    for task, metric in sorted(gates.retired | gates.patterns):
        there = base_metrics.get(task, {})
        known = known_at_base(task, metric, base_params, base_metrics)
        if not known and not isinstance(there, InputError):
            name = name_of(task, metric)
            lines.append(f"gates.{name} is retired, and the base has it no more; take it out")
    return lines


def known_at_base(task: str, metric: str, base_params, base_metrics) -> bool:
    """Whether the base has a metric, one of a pattern, or a task where the metric is empty."""
    there = base_metrics.get(task, {})
    if not metric:
        return task in task_names(base_params)
    if isinstance(there, InputError):
        return False
    return metric in there or any(fnmatchcase(name, metric) for name in there)


def name_of(task: str, metric: str) -> str:
    """`TASK.METRIC`, or `TASK` where the metric is empty."""
    return f"{task}.{metric}" if metric else task


def section_of(params: Mapping, *keys: str) -> Mapping:
    """A section within sections; empty where it is no mapping."""
    for key in keys:
        params = params.get(key)
        if not isinstance(params, Mapping):
            return {}
    return params


def seeds_of(params: Mapping, task: str) -> list:
    """`seeds.TASK`; none where it is no list."""
    listed = section_of(params, "seeds").get(task)
    return listed if isinstance(listed, list) else []


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
