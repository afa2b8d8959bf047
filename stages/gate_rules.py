"""What a gate is and when it holds: pure functions over what `stages.gate_files` reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from stages.gate_files import AGAIN, Unusable, is_finite

LIMITS = ("min", "max", "tolerance")
OFF = "switched off"


@dataclass(frozen=True)
class Gate:
    """What one metric is held to."""

    minimum: float | None = None
    maximum: float | None = None
    tolerance: float | None = None
    relative: bool = False  # the tolerance is in percent of the base
    worse: frozenset[str] = frozenset()  # of "falling", "rising": the changes for the worse

    def __str__(self) -> str:
        parts = []
        if self.minimum is not None:
            parts.append(f">= {self.minimum}")
        if self.maximum is not None:
            parts.append(f"<= {self.maximum}")
        if self.tolerance is not None:
            parts.append(f"+-{shown(self.tolerance, self.relative)}")
        return ", ".join(parts)


def shown(limit: float | None, relative: bool = False) -> str:
    """Write a limit as in `params.yaml`, or `none`."""
    return "none" if limit is None else f"{limit:.12g}{'%' if relative else ''}"


@dataclass(frozen=True)
class Verdict:
    """What was found for one metric; for a whole task or file, with an empty metric."""

    task: str
    metric: str
    verdict: str
    status: int = 0
    message: str = ""
    value: float | None = None
    gate: str = ""
    base: float | None = None


def parse_gate(where: str, spec) -> Gate:
    """Check one gate as written in `params.yaml`; `where` is its key, for the message."""
    if not isinstance(spec, Mapping):
        raise Unusable(f"{where}: write a mapping such as {{min: 0.8}}, not {spec!r}")
    unknown = [str(key) for key in spec if key not in (*LIMITS, "better")]
    if unknown:
        raise Unusable(f"{where}: unknown {', '.join(unknown)}; use {', '.join(LIMITS)}, better")
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
    return Gate(minimum, maximum, tolerance, relative, frozenset(worse))


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


def parse_gates(params, tasks=None) -> tuple[dict[str, dict[str, Gate]], list[Verdict]]:
    """Read the gates out of parsed params: ({task: {metric: Gate}}, what is badly written).

    Every task of `params.yaml` must have a gate, and every gate a task; `tasks` looks at a few.
    """
    gates: dict[str, dict[str, Gate]] = {}
    bad = []

    def refuse(task, metric, text):
        bad.append(Verdict(str(task), str(metric), "bad gate", 2, f"params.yaml: {text}"))

    sections = []
    for name in ("tasks", "gates"):
        section = params.get(name) if isinstance(params, Mapping) else None
        if not isinstance(section, Mapping) or not section:
            refuse("", "", f"no mapping {name!r}; gates are written gates.TASK.METRIC")
            return gates, bad
        sections.append(section)
    known, written = sections
    for task in tasks or [*known, *(task for task in written if task not in known)]:
        metrics = written.get(task)
        if task not in known or not isinstance(task, str):
            refuse(task, "", f"{task} is no task; known are {', '.join(map(str, known))}")
            continue
        enabled = known[task].get("enabled", True) if isinstance(known[task], Mapping) else True
        if not isinstance(enabled, bool):
            text = "write true or false, without quotation marks"
            refuse(task, "", f"tasks.{task}.enabled is {enabled!r}; {text}")
            continue
        if not isinstance(metrics, Mapping) or not metrics:
            refuse(task, "", f"gates.{task}: no gates; write at least one METRIC: {{min: ...}}")
            continue
        gates[task] = {}
        for metric, spec in metrics.items():
            if not isinstance(metric, str):
                refuse(task, metric, f"gates.{task}.{metric}: a metric's name is text; quote it")
                continue
            try:
                gates[task][metric] = parse_gate(f"gates.{task}.{metric}", spec)
            except Unusable as error:
                refuse(task, metric, str(error))
    return gates, bad


def judge(gate: Gate, value: float, base: float | None = None) -> tuple[str, str]:
    """Return (verdict, what is wrong) for one finite value.

    Reckoned in decimals, as the numbers are written: 0.7 is within 0.1 of 0.8, which it is not
    in binary. Written `value >= floor`, so that nothing incomparable can pass.
    """
    now = Decimal(str(value))
    if gate.minimum is not None and not now >= Decimal(str(gate.minimum)):
        return "falls short", f"{value} is below min {gate.minimum}"
    if gate.maximum is not None and not now <= Decimal(str(gate.maximum)):
        return "falls short", f"{value} is above max {gate.maximum}"
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
    section = params["tasks"].get(task)
    return isinstance(section, Mapping) and section.get("enabled") is False


def evaluate_gates(params, metrics, base_params=None, base_metrics=None, tasks=None):
    """Judge every gate; reads nothing but its arguments.

    Args:
      params: the parsed `params.yaml`.
      metrics: {task: {metric: value}, or the `Unusable` that reading its file raised}.
      base_params, base_metrics: the same at the base. A task or metric not there is a new one.
      tasks: judge only these.

    Returns:
      A list of `Verdict`: one for each gate, one for each thing that is badly written, and one
      for each task that is switched off, whose gates are then not looked at.
    """
    gates, verdicts = parse_gates(params, tasks)
    base_gates = parse_gates(base_params, list(gates))[0] if base_params and gates else {}
    for task, group in gates.items():
        if switched_off(params, task):
            verdicts.append(Verdict(task, "", OFF))
            continue
        for metric, gate in group.items():
            verdicts.append(
                evaluate_gate(
                    (task, metric),
                    gate,
                    base_gates.get(task, {}).get(metric),
                    metrics.get(task, {}),
                    (base_metrics or {}).get(task, {}),
                )
            )
    return verdicts


def evaluate_gate(key: tuple[str, str], gate: Gate, base_gate: Gate | None, metrics, base_metrics):
    """Judge one gate of one task; see `evaluate_gates`."""
    task, metric = key
    where = f"metrics/{task}.json"
    known = {"gate": str(gate)}
    if isinstance(metrics, Unusable):
        return Verdict(task, metric, "unreadable", 2, str(metrics), **known)
    if metric not in metrics:
        text = f"{where}: {metric} is missing; {AGAIN}, or correct gates.{task} in params.yaml"
        return Verdict(task, metric, "missing", 2, text, **known)
    if not is_finite(metrics[metric]):
        text = f"{where}: {metric} is no finite number but {metrics[metric]!r}; {AGAIN}"
        return Verdict(task, metric, "no number", 2, text, **known)
    known["value"] = metrics[metric]
    if isinstance(base_metrics, Unusable):
        return Verdict(task, metric, "bad base", 2, str(base_metrics), **known)
    base = base_metrics.get(metric)
    if metric in base_metrics and not is_finite(base):
        text = f"{where} at the base: {metric} is no finite number but {base!r}; choose another"
        return Verdict(task, metric, "bad base", 2, text, **known)
    known["base"] = base
    if base_gate:  # turning the direction round must not hide a regression
        gate = Gate(gate.minimum, gate.maximum, gate.tolerance, gate.relative, base_gate.worse)
    verdict, wrong = judge(gate, metrics[metric], base)
    if verdict == "holds":
        return Verdict(task, metric, verdict, **known)
    text = f"{where}: {metric} {verdict}: {wrong} (gates.{task}.{metric} in params.yaml)"
    return Verdict(task, metric, verdict, 1, text, **known)


def loosened_gates(params, base_params, tasks=None) -> list[str]:
    """Say which gates of the base this branch removed, switched off or made easier to hold."""
    gates = parse_gates(params, tasks)[0]
    lines = []
    for task, group in parse_gates(base_params, tasks)[0].items():
        if switched_off(params, task) and not switched_off(base_params, task):
            lines.append(f"loosened: tasks.{task} is switched off; none of its gates counts")
        for metric, old in group.items():
            new = gates.get(task, {}).get(metric, Gate())
            changes = []
            if old.minimum is not None and (new.minimum is None or new.minimum < old.minimum):
                changes.append(f"min {old.minimum} -> {shown(new.minimum)}")
            if old.maximum is not None and (new.maximum is None or new.maximum > old.maximum):
                changes.append(f"max {old.maximum} -> {shown(new.maximum)}")
            if old.tolerance is not None and (
                new.tolerance is None
                or new.relative != old.relative
                or new.tolerance > old.tolerance
            ):
                wide, wider = (shown(gate.tolerance, gate.relative) for gate in (old, new))
                changes.append(f"tolerance {wide} -> {wider}")
            if new.worse and not old.worse <= new.worse:
                changes.append("the other direction counts as better")
            if changes:
                lines.append(f"loosened: gates.{task}.{metric}: {', '.join(changes)}")
    return lines
