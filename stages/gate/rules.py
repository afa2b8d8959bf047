"""What a gate is and when it holds: pure functions over what `stages.gate.files` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from stages.gate.files import AGAIN, MEAN, STD, Unusable, is_finite, over_seeds

LIMITS = ("min", "max", "tolerance")
OFF = "switched off"
RETIRED = "retired"


@dataclass(frozen=True)
class Gate:
    """What one metric is held to."""

    minimum: float | None = None
    maximum: float | None = None
    tolerance: float | None = None
    relative: bool = False  # the tolerance is in percent of the base
    worse: frozenset[str] = frozenset()  # of "falling", "rising": the changes for the worse
    deviations: float | None = None  # of the mean over seeds, which is then held in place of a run

    @property
    def floor(self) -> str:
        """What the value is held to by itself, as a table shows it."""
        bounds = ((">=", "-", self.minimum), ("<=", "+", self.maximum))
        held = [bound for bound in bounds if bound[-1] is not None]
        if self.deviations is None:
            return ", ".join(f"{sign} {bound}" for sign, _, bound in held)
        times = shown(self.deviations)
        return ", ".join(f"mean {worse} {times} std {sign} {bound}" for sign, worse, bound in held)


def shown(limit: float | None, relative: bool = False) -> str:
    """Write a limit as in `params.yaml`, or `none`."""
    return "none" if limit is None else f"{limit:.12g}{'%' if relative else ''}"


@dataclass(frozen=True)
class Verdict:
    """What was found for one metric; for a whole task or file, with an empty metric.

    value, base: of a gate with `deviations` the means, with their `std` here; where the base has
    no mean, its one figure.
    """

    task: str
    metric: str
    verdict: str
    status: int = 0
    message: str = ""
    value: float | None = None
    gate: Gate = Gate()
    base: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class Gates:
    """The gates of one `params.yaml`.

    held: {task: {metric: what it is held to}}, a task without a usable gate left out.
    retired: (task, metric) of what was given up on purpose; the metric is empty for a whole task.
    bad: what is badly written.
    """

    held: dict[str, dict[str, Gate]] = field(default_factory=dict)
    retired: set[tuple[str, str]] = field(default_factory=set)
    bad: list[Verdict] = field(default_factory=list)

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
        self.bad.append(Verdict(str(task), str(metric), "bad gate", 2, f"params.yaml: {text}"))


def parse_gate(where: str, spec) -> Gate:
    """Check one gate as written in `params.yaml`; `where` is its key, for the message."""
    if not isinstance(spec, Mapping):
        raise Unusable(f"{where}: write a mapping such as {{min: 0.8}}, not {spec!r}")
    known = (*LIMITS, "deviations", "better")
    unknown = [str(key) for key in spec if key not in known]
    if unknown:
        raise Unusable(f"{where}: unknown {', '.join(unknown)}; use {', '.join(known)}")
    if not any(key in spec for key in LIMITS):
        raise Unusable(f"{where}: holds nothing; give one of {', '.join(LIMITS)}")
    for key in ("min", "max"):
        if key in spec and not is_finite(spec[key]):
            raise Unusable(f"{where}.{key}: must be a finite number, not {spec[key]!r}")
    minimum, maximum = spec.get("min"), spec.get("max")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise Unusable(f"{where}: min {minimum} is above max {maximum}; no value can hold")
    tolerance, relative = None, False
    if "tolerance" in spec:
        tolerance, relative = parse_tolerance(f"{where}.tolerance", spec["tolerance"])
    deviations = spec.get("deviations")
    if "deviations" in spec:
        if not is_finite(deviations) or deviations < 0:
            raise Unusable(f"{where}.deviations: must be a number of 0 or more, not {deviations!r}")
        if minimum is None and maximum is None:
            raise Unusable(f"{where}.deviations: needs a min or max beside it")

    worse = {"falling"} if minimum is not None else set()
    worse |= {"rising"} if maximum is not None else set()
    if "better" in spec:
        if spec["better"] not in ("higher", "lower"):
            raise Unusable(f"{where}.better: must be higher or lower, not {spec['better']!r}")
        chosen = {"falling" if spec["better"] == "higher" else "rising"}
        if worse and not chosen <= worse:
            raise Unusable(f"{where}.better: {spec['better']} contradicts the min or max beside it")
        worse = chosen
    if not worse:
        raise Unusable(f"{where}: a tolerance alone needs `better: higher` or `better: lower`")
    return Gate(minimum, maximum, tolerance, relative, frozenset(worse), deviations)


def parse_tolerance(where: str, written) -> tuple[float, bool]:
    """Return (number, whether it is in percent of the base)."""
    number, relative = written, False
    if isinstance(written, str) and written.strip().endswith("%"):
        relative = True
        try:
            number = float(written.strip()[:-1])
        except ValueError:
            number = None
    if not is_finite(number) or number < 0:
        raise Unusable(f'{where}: must be a number of 0 or more, or "2%", not {written!r}')
    return number, relative


def parse_gates(params, tasks=None) -> Gates:
    """Read the gates out of parsed params.

    Every task of `params.yaml` must have a gate, and every gate a task; `tasks` looks at a few.
    """
    gates = Gates()
    sections = []
    for name in ("tasks", "gates"):
        section = params.get(name) if isinstance(params, Mapping) else None
        if not isinstance(section, Mapping) or not section:
            gates.refuse("", "", f"no mapping {name!r}; gates are written gates.TASK.METRIC")
            return gates
        sections.append(section)
    known, written = sections
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
            gates.refuse(task, "", f"tasks.{task}.enabled is {enabled!r}; {text}")
            continue
        usable = isinstance(metrics, Mapping)
        if not usable or not any(spec != RETIRED for spec in metrics.values()):
            text = f"gates.{task}: no gates; write at least one METRIC: {{min: ...}}"
            gates.refuse(task, "", text)
            continue
        gates.held[task] = {}
        for metric, spec in metrics.items():
            if not isinstance(metric, str):
                text = f"gates.{task}.{metric}: a metric's name is text; quote it"
                gates.refuse(task, metric, text)
                continue
            if spec == RETIRED:
                gates.retired.add((task, metric))
                continue
            try:
                gate = parse_gate(f"gates.{task}.{metric}", spec)
                if gate.deviations is not None and not _has_seeds(params, task):
                    # A file of seeds that were given up may still be there.
                    raise Unusable(
                        f"gates.{task}.{metric}.deviations: seeds.{task} lists no seeds to repeat "
                        f"with; write `seeds: {{{task}: [7, 8]}}` and run `make repro`"
                    )
                gates.held[task][metric] = gate
            except Unusable as error:
                gates.refuse(task, metric, str(error))
    return gates


def _has_seeds(params, task: str) -> bool:
    seeds = params.get("seeds")
    return isinstance(seeds, Mapping) and bool(seeds.get(task))


def judge(
    gate: Gate, value: float, base: float | None = None, std: float | None = None
) -> tuple[str, str]:
    """Return (verdict, what is wrong) for one finite value.

    Reckoned in decimals, as the numbers are written: 0.7 is within 0.1 of 0.8, which it is not
    in binary. Written `value >= floor`, so that nothing incomparable can pass.

    Args:
      gate: with `deviations`, `value` is a mean, and `min` and `max` hold what is so many `std`
        worse than it.
      base: the value at the base, for the tolerance.
    """
    now = Decimal(str(value))
    spread, low, high = Decimal(0), f"{value}", f"{value}"
    if gate.deviations is not None:
        spread = Decimal(str(gate.deviations)) * Decimal(str(std))
        low, high = (
            f"mean {value:.6g} {sign} {shown(gate.deviations)} x std {std:.6g} = {held:.6g}"
            for sign, held in (("-", now - spread), ("+", now + spread))
        )
    if gate.minimum is not None and not now - spread >= Decimal(str(gate.minimum)):
        return "falls short", f"{low} is below min {gate.minimum}"
    if gate.maximum is not None and not now + spread <= Decimal(str(gate.maximum)):
        return "falls short", f"{high} is above max {gate.maximum}"
    if base is None or gate.tolerance is None:
        return "holds", ""
    then, allowed = Decimal(str(base)), Decimal(str(gate.tolerance))
    if gate.relative:
        allowed = abs(then) * allowed / 100
    if "falling" in gate.worse and not now >= then - allowed:
        return "regressed", f"{value} is more than {allowed} below the base, {base}"
    if "rising" in gate.worse and not now <= then + allowed:
        return "regressed", f"{value} is more than {allowed} above the base, {base}"
    return "holds", ""


def switched_off(params, task: str) -> bool:
    """Whether `tasks.TASK.enabled` is false: its stages made nothing that could be judged."""
    tasks = params.get("tasks") if isinstance(params, Mapping) else None
    section = tasks.get(task) if isinstance(tasks, Mapping) else None
    return isinstance(section, Mapping) and section.get("enabled") is False


def evaluate_gates(params, metrics, base_params=None, base_metrics=None, tasks=None):
    """Judge every gate; reads nothing but its arguments.

    Args:
      params: the parsed `params.yaml`.
      metrics: {task: {metric: value}, or the `Unusable` that reading its file raised}; and so
        under `over_seeds(task)` for a task that has a gate with `deviations`.
      base_params, base_metrics: the same at the base. A task or metric not there is a new one.
      tasks: judge only these.

    Returns:
      A list of `Verdict`: one for each gate, one for each thing that is badly written, and one
      for each task that is switched off, whose gates are then not looked at.
    """
    gates = parse_gates(params, tasks)
    verdicts = list(gates.bad)
    known = base_params and gates.held
    base_gates = parse_gates(base_params, list(gates.held)).held if known else {}
    for task, group in gates.held.items():
        if switched_off(params, task):
            verdicts.append(Verdict(task, "", OFF))
            continue
        found = metrics.get(task, {})
        for metric in () if isinstance(found, Unusable) else found:
            if (task, metric) in gates.retired:
                text = f"gates.{task}.{metric} is retired, but metrics/{task}.json has it"
                verdicts.append(Verdict(task, metric, "bad gate", 2, f"params.yaml: {text}"))
        for metric, gate in group.items():
            verdicts.append(
                evaluate_gate(
                    (task, metric),
                    gate,
                    base_gates.get(task, {}).get(metric),
                    metrics,
                    base_metrics or {},
                )
            )
    return verdicts


def evaluate_gate(key: tuple[str, str], gate: Gate, base_gate: Gate | None, metrics, base_metrics):
    """Judge one gate of one task; see `evaluate_gates`."""
    task, metric = key
    known = {"gate": gate}
    file, name, names = task, metric, [metric]
    if gate.deviations is not None:
        file, name = over_seeds(task), metric + MEAN
        names = [name, metric + STD]
    found, where = metrics.get(file, {}), f"metrics/{file}.json"
    if isinstance(found, Unusable):
        return Verdict(task, metric, "unreadable", 2, str(found), **known)
    for needed in names:
        if needed not in found:
            text = f"{where}: {needed} is missing; {AGAIN}, or correct gates.{task} in params.yaml"
            return Verdict(task, metric, "missing", 2, text, **known)
        if not is_finite(found[needed]):
            text = f"{where}: {needed} is no finite number but {found[needed]!r}; {AGAIN}"
            return Verdict(task, metric, "no number", 2, text, **known)
    known["value"] = value = found[name]
    if gate.deviations is not None:
        known["std"] = found[metric + STD]
    there = base_metrics.get(file, {})
    if not isinstance(there, Unusable) and name not in there:
        # The base has no mean: its one figure is what there is to compare the mean with.
        there, file, name = base_metrics.get(task, {}), task, metric
    if isinstance(there, Unusable):
        return Verdict(task, metric, "bad base", 2, str(there), **known)
    base = there.get(name)
    if name in there and not is_finite(base):
        text = f"metrics/{file}.json at the base: {name} is no finite number but {base!r}"
        return Verdict(task, metric, "bad base", 2, f"{text}; choose another", **known)
    known["base"] = base
    if base_gate:  # turning the direction round must not hide a regression
        gate = replace(gate, worse=base_gate.worse)
    verdict, wrong = judge(gate, value, base, known.get("std"))
    if verdict == "holds":
        return Verdict(task, metric, verdict, **known)
    text = f"{where}: {metric} {verdict}: {wrong} (gates.{task}.{metric} in params.yaml)"
    return Verdict(task, metric, verdict, 1, text, **known)
