"""The gates of params.yaml as typed models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from stages.core.errors import InputError, quoted
from stages.core.schema import build_section
from stages.gate.files import baselines_of, over_seeds
from stages.gate.limits import Gate

# Of a metric or a task that is given up; as a list under a task, patterns of metrics.
RETIRED = "retired"
# Characters of such a pattern; to compare with one of 100,000 takes seconds.
LONGEST_PATTERN = 200
# The list under `gates` that owns up to what a branch loosens, line by line.
LOOSENED = "loosened"


class Refusal(NamedTuple):
    """What is badly written at a task or metric; `message` is one line."""

    task: str
    metric: str
    message: str


@dataclass(frozen=True)
class Gates:
    """The gates of one `params.yaml`.

    held: {task: {metric: what it is held to}}, a task without a usable gate left out.
    retired: (task, metric) of what was given up on purpose; the metric is empty for a whole task.
    patterns: (task, pattern) of metrics without a gate that were given up: `eval_LOC_*`.
    loosened: the lines of `gates.loosened`.
    bad: what is badly written.
    """

    held: dict[str, dict[str, Gate]] = field(default_factory=dict)
    retired: set[tuple[str, str]] = field(default_factory=set)
    patterns: set[tuple[str, str]] = field(default_factory=set)
    loosened: list[str] = field(default_factory=list)
    bad: list[Refusal] = field(default_factory=list)

    def gives_up(self, task: str, metric: str) -> bool:
        """Whether a metric is retired, by its name or by a pattern."""
        return (task, metric) in self.retired or any(
            one == task and fnmatchcase(metric, pattern) for one, pattern in self.patterns
        )

    @property
    def further_files(self) -> list[str]:
        """`seeds/TASK` of tasks that have a gate with `deviations`, `baselines/TASK` with `beats`.

        They are judged as `TASK` is.
        """
        found = []
        for task, group in self.held.items():
            if any(gate.deviations is not None for gate in group.values()):
                found.append(over_seeds(task))
            if any(gate.beats is not None for gate in group.values()):
                found.append(baselines_of(task))
        return found

    def refuse(self, task, metric, text: str) -> None:
        """Note what is badly written at a task or metric."""
        self.bad.append(Refusal(str(task), str(metric), f"params.yaml: {text}"))


def parse_gates(params: Mapping, tasks: Iterable[str] | None = None) -> Gates:
    """Read the gates out of parsed params.

    Every task of `params.yaml` must have a gate, and every gate a task; `tasks` looks at a few.
    """
    gates = Gates()
    sections = []
    for name in ("tasks", "gates"):
        section = params.get(name)
        if not isinstance(section, Mapping) or not section:
            gates.refuse("", "", f"no mapping {quoted(name)}; gates are written gates.TASK.METRIC")
            return gates
        sections.append(section)
    known, written = sections
    if isinstance(written.get(LOOSENED), list):  # a task of that name has a mapping
        written = dict(written)
        for line in written.pop(LOOSENED):
            if isinstance(line, str):
                gates.loosened.append(line)
            else:
                text = f"gates.{LOOSENED} has {quoted(line)}, which is no text; quote the line"
                gates.refuse(LOOSENED, "", text)
    for task in tasks or [*known, *(task for task in written if task not in known)]:
        metrics = written.get(task)
        if metrics == RETIRED:
            if task in known:
                gates.refuse(task, "", f"gates.{task} is retired, but tasks.{task} is still there")
            gates.retired.add((task, ""))
            continue
        if task not in known or not isinstance(task, str):
            text = f"{task} is no task; known are {', '.join(map(str, known))}"
            gates.refuse(task, "", text)
            continue
        enabled = known[task].get("enabled", True) if isinstance(known[task], Mapping) else True
        if not isinstance(enabled, bool):
            text = "write true or false, without quotation marks"
            gates.refuse(task, "", f"tasks.{task}.enabled is {quoted(enabled)}; {text}")
            continue
        usable = isinstance(metrics, Mapping)
        if not usable or all(_is_retired(metric, spec) for metric, spec in metrics.items()):
            text = f"gates.{task}: no gates; write at least one METRIC: {{min: ...}}"
            gates.refuse(task, "", text)
            continue
        gates.held[task] = {}
        for metric, spec in metrics.items():
            try:
                if metric == RETIRED and isinstance(spec, list):
                    gates.patterns.update((task, pattern) for pattern in _patterns(task, spec))
                elif _is_retired(metric, spec):
                    gates.retired.add((task, metric))
                else:
                    gates.held[task][metric] = _parse_gate(params, task, metric, spec)
            except InputError as error:
                gates.refuse(task, metric, str(error))
        for metric in gates.held[task]:
            if gates.gives_up(task, metric):
                text = f"gates.{task}: {metric} has a gate, and `retired` gives it up; keep one"
                gates.refuse(task, metric, text)
    return gates


def _is_retired(metric, spec) -> bool:
    """Whether an entry gives a metric up, or several; a metric may be named `retired`."""
    if metric == RETIRED and isinstance(spec, list):
        return True
    return spec == RETIRED and isinstance(metric, str)


def _patterns(task: str, listed: list) -> list[str]:
    for pattern in listed:
        if not isinstance(pattern, str) or not 0 < len(pattern) <= LONGEST_PATTERN:
            raise InputError(
                f"gates.{task}.{RETIRED} has {quoted(pattern)}; list names or patterns of metrics, "
                'such as "eval_LOC_*"'
            )
    return listed


def _parse_gate(params: Mapping, task: str, metric, spec) -> Gate:
    where = f"gates.{task}.{metric}"
    if not isinstance(metric, str):
        raise InputError(f"{where}: a metric's name is text; quote it")
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: write a mapping such as {{min: 0.8}}, not {quoted(spec)}")
    gate = build_section(Gate, spec, where).directed(metric)
    seeds = params.get("seeds")
    if gate.deviations is not None and not (isinstance(seeds, Mapping) and seeds.get(task)):
        # A file of seeds that were given up may still be there.
        raise InputError(
            f"{where}.deviations: seeds.{task} lists no seeds to repeat with; write "
            f"`seeds: {{{task}: [7, 8]}}` and run `make repro`"
        )
    return gate


def switched_off(params: Mapping, task: str) -> bool:
    """Whether `tasks.TASK.enabled` is false: its stages made nothing that could be judged."""
    tasks = params.get("tasks")
    section = tasks.get(task) if isinstance(tasks, Mapping) else None
    return isinstance(section, Mapping) and section.get("enabled") is False
