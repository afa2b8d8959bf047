"""What each model is judged by, beside what simple methods reach on the same test split."""

from collections.abc import Mapping
from pathlib import Path

from stages.core.errors import InputError
from stages.core.params import PARAMS_FILE, read_params, task_of
from stages.gate.baselines import Baseline, best_baseline, not_beaten
from stages.gate.changes import task_names
from stages.gate.files import baselines_of, is_finite
from stages.gate.inputs import read_metrics, shown_baselines
from stages.gate.limits import NO_GATE, Gate
from stages.gate.schema import parse_gates, switched_off
from stages.tasks.registry import TASKS

# {(task, metric): the best simple method}
Baselines = dict[tuple[str, str], Baseline]


def judged_metrics(params: Mapping, task: str) -> dict[str, Gate]:
    """The metrics that a task has gates for, else its main one, each with what it is held to."""
    held = parse_gates(params, [task]).held.get(task)
    if held:
        return held
    try:
        known = TASKS[task_of(dict(params), task, list(TASKS))]
    except InputError:  # not in the registry
        return {}
    return {known.main_metric or known.curves[0]: NO_GATE}


def find_baselines(params: Mapping, metrics: Mapping) -> tuple[Baselines, list[str]]:
    """The best baseline of each judged metric, and a line for each that is not beaten.

    A model that is nothing but the start of another one, held to a tolerance alone, gets none.

    Args:
        params: the parsed `params.yaml`.
        metrics: {file: metrics, or the `InputError` of its reading}, as `read_metrics` gives it.
    """
    found, lines = {}, []
    for task in task_names(params):
        own, simple = (metrics.get(file, {}) for file in (task, baselines_of(task)))
        if switched_off(params, task) or any(isinstance(one, InputError) for one in (own, simple)):
            continue
        for metric, gate in judged_metrics(params, task).items():
            value, best = own.get(metric), best_baseline(metric, gate, simple, own)
            if best is None or not is_finite(value):
                continue
            found[task, metric] = best
            if gate.floor or gate.tolerance is None or not is_start(params, task):
                lines += not_beaten(task, metric, gate, value, best)
    return found, lines


def is_start(params: Mapping, task: str) -> bool:
    """Whether another task starts from the model of this one."""
    blocks = (block for block in params["tasks"].values() if isinstance(block, Mapping))
    return any(block.get("model_name_or_path") == f"models/{task}" for block in blocks)


def read_judged(folder: Path = Path()) -> dict[tuple[str, str], Gate]:
    """`judged_metrics` of all tasks of the working tree, by task and metric."""
    file = folder / PARAMS_FILE
    params = read_params(file) if file.is_file() else {}
    return {
        (task, metric): gate
        for task in task_names(params)
        for metric, gate in judged_metrics(params, task).items()
    }


def read_baselines(folder: Path = Path()) -> tuple[Baselines, list[str]]:
    """`find_baselines` of the working tree; nothing of one without parameters."""
    file = folder / PARAMS_FILE
    if not file.is_file():
        return {}, []
    params = read_params(file)
    tasks = task_names(params)
    return find_baselines(params, read_metrics(folder, [*tasks, *shown_baselines(folder, tasks)]))
