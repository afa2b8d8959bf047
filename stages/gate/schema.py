"""The gates of params.yaml as typed models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from stages.core.errors import InputError, quoted
from stages.core.schema import Section, build_section
from stages.gate.files import is_finite, over_seeds

RETIRED = "retired"
# The list under `gates` that owns up to what a branch loosens, line by line.
LOOSENED = "loosened"


class Tolerance(NamedTuple):
    """How far a metric may fall behind the base; `relative`: in percent of the base."""

    amount: float
    relative: bool

    def __str__(self) -> str:
        return f"{self.amount:.12g}{'%' if self.relative else ''}"


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> float:
    """The number as it was read: a table shows 62, not 62.0."""
    check(value)
    return value


def _parse_tolerance(written: Any) -> Tolerance:
    number, relative = written, False
    if isinstance(written, str) and written.strip().endswith("%"):
        number, relative = float(written.strip()[:-1]), True
    if not is_finite(number) or number < 0:
        raise ValueError("not a number of 0 or more")
    return Tolerance(number, relative)


Number = Annotated[float, WrapValidator(_as_written)]


class Gate(Section):
    """What one metric is held to: `gates.TASK.METRIC`."""

    model_config = ConfigDict(frozen=True)

    min: Number = None
    max: Number = None
    tolerance: Annotated[Tolerance, PlainValidator(_parse_tolerance)] = Field(
        None, description='a number of 0 or more, or "2%"'
    )
    # Of the mean over seeds, which is then held instead of the main run's figure.
    deviations: Number = Field(None, ge=0)
    better: Literal["higher", "lower"] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        bounded = self.min is not None or self.max is not None
        if not bounded and self.tolerance is None:
            raise ValueError("holds nothing; give one of min, max, tolerance")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; no value can hold")
        if self.deviations is not None and not bounded:
            raise ValueError("deviations: needs a min or max beside it")
        if not bounded and self.better is None:
            raise ValueError("a tolerance alone needs `better: higher` or `better: lower`")
        if self.better and bounded and not self.worse <= self._beyond_bounds:
            raise ValueError(f"better: {self.better} contradicts the min or max beside it")
        return self

    @property
    def _beyond_bounds(self) -> frozenset[str]:
        sides = (("falling", self.min), ("rising", self.max))
        return frozenset(side for side, bound in sides if bound is not None)

    @property
    def worse(self) -> frozenset[str]:
        """The changes for the worse, of "falling" and "rising"."""
        if self.better is None:
            return self._beyond_bounds
        return frozenset({"falling" if self.better == "higher" else "rising"})

    @property
    def direction(self) -> str:
        """Which values are better, in the words of `better`; `neither` between two bounds."""
        words = {frozenset({"falling"}): "higher", frozenset({"rising"}): "lower"}
        return words.get(self.worse, "neither")

    @property
    def floor(self) -> str:
        """What the value is held to by itself, as a table shows it."""
        bounds = ((">=", "-", self.min), ("<=", "+", self.max))
        held = [bound for bound in bounds if bound[-1] is not None]
        if self.deviations is None:
            return ", ".join(f"{sign} {bound}" for sign, _, bound in held)
        times = shown(self.deviations)
        return ", ".join(f"mean {worse} {times} std {sign} {bound}" for sign, worse, bound in held)


# Of what is not held to anything.
NO_GATE = Gate.model_construct()


def shown(limit: float | Tolerance | None) -> str:
    """Write a limit as in `params.yaml`, or `none`."""
    if limit is None or isinstance(limit, Tolerance):
        return str(limit).lower()
    return f"{limit:.12g}"


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
    loosened: the lines of `gates.loosened`.
    bad: what is badly written.
    """

    held: dict[str, dict[str, Gate]] = field(default_factory=dict)
    retired: set[tuple[str, str]] = field(default_factory=set)
    loosened: list[str] = field(default_factory=list)
    bad: list[Refusal] = field(default_factory=list)

    @property
    def seed_files(self) -> list[str]:
        """`seeds/TASK` of each task that has a gate with `deviations`."""
        return [
            over_seeds(task)
            for task, group in self.held.items()
            if any(gate.deviations is not None for gate in group.values())
        ]

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
        if not usable or not any(spec != RETIRED for spec in metrics.values()):
            text = f"gates.{task}: no gates; write at least one METRIC: {{min: ...}}"
            gates.refuse(task, "", text)
            continue
        gates.held[task] = {}
        for metric, spec in metrics.items():
            if spec == RETIRED and isinstance(metric, str):
                gates.retired.add((task, metric))
                continue
            try:
                gates.held[task][metric] = _parse_gate(params, task, metric, spec)
            except InputError as error:
                gates.refuse(task, metric, str(error))
    return gates


def _parse_gate(params: Mapping, task: str, metric, spec) -> Gate:
    where = f"gates.{task}.{metric}"
    if not isinstance(metric, str):
        raise InputError(f"{where}: a metric's name is text; quote it")
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: write a mapping such as {{min: 0.8}}, not {quoted(spec)}")
    gate = build_section(Gate, spec, where)
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
