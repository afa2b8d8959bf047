"""When a gate holds: pure functions over what `stages.gate.files` reads."""

from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal

from stages.core.errors import InputError, quoted
from stages.gate.files import AGAIN, STD, is_finite, mean_of
from stages.gate.schema import NO_GATE, Gate, Tolerance, parse_gates, shown, switched_off

OFF = "switched off"


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
    gate: Gate = NO_GATE
    base: float | None = None
    std: float | None = None


def judge(
    gate: Gate,
    value: float,
    base: float | None = None,
    std: float | None = None,
    worse: frozenset[str] | None = None,
) -> tuple[str, str]:
    """Return (verdict, what is wrong) for one finite value.

    Computed in decimals, as the numbers are written: 0.7 is within 0.1 of 0.8, which it is not
    in binary. Written `value >= floor`, so that nothing incomparable can pass.

    Args:
      gate: with `deviations`, `value` is a mean, and `min` and `max` hold the value that is so
        many `std` worse.
      base: the value at the base, for the tolerance.
      std: the deviation of the mean.
      worse: the changes for the worse, where they are not the gate's.
    """
    worse = gate.worse if worse is None else worse
    now = Decimal(str(value))
    spread, low, high = Decimal(0), f"{value}", f"{value}"
    if gate.deviations is not None:
        spread = Decimal(str(gate.deviations)) * Decimal(str(std))
        low, high = (
            f"mean {value:.6g} {sign} {shown(gate.deviations)} x std {std:.6g} = {held:.6g}"
            for sign, held in (("-", now - spread), ("+", now + spread))
        )
    if gate.min is not None and not now - spread >= Decimal(str(gate.min)):
        return "falls short", f"{low} is below min {gate.min}"
    if gate.max is not None and not now + spread <= Decimal(str(gate.max)):
        return "falls short", f"{high} is above max {gate.max}"
    if base is None or gate.tolerance is None:
        return "holds", ""
    wrong = judge_tolerance(gate.tolerance, value, base, worse)
    return ("regressed", f"{wrong} the base, {base}") if wrong else ("holds", "")


def judge_tolerance(tolerance: Tolerance, value: float, other: float, worse: Set[str]) -> str:
    """How far a value lies beyond what is allowed around another; "" where it does not.

    Args:
      worse: which sides count, of "falling" and "rising".
    """
    now, then, allowed = (Decimal(str(one)) for one in (value, other, tolerance.amount))
    if tolerance.relative:
        allowed = abs(then) * allowed / 100
    if "falling" in worse and not now >= then - allowed:
        return f"{value} is more than {allowed} below"
    if "rising" in worse and not now <= then + allowed:
        return f"{value} is more than {allowed} above"
    return ""


def evaluate_gates(params, metrics, base_params=None, base_metrics=None, tasks=None):
    """Judge every gate; reads nothing but its arguments.

    Args:
      params: the parsed `params.yaml`.
      metrics: {task: {metric: value}, or the `InputError` that reading its file raised}; and so
        under `over_seeds(task)` for a task that has a gate with `deviations`.
      base_params, base_metrics: the same at the base. A task or metric not there is a new one.
      tasks: judge only these.

    Returns:
      A list of `Verdict`: one for each gate, one for each thing that is badly written, and one
      for each task that is switched off, whose gates are then not looked at.
    """
    gates = parse_gates(params, tasks)
    verdicts = [Verdict(task, metric, "bad gate", 2, text) for task, metric, text in gates.bad]
    known = base_params and gates.held
    base_gates = parse_gates(base_params, list(gates.held)).held if known else {}
    for task, group in gates.held.items():
        if switched_off(params, task):
            verdicts.append(Verdict(task, "", OFF))
            continue
        found = metrics.get(task, {})
        for metric in () if isinstance(found, InputError) else found:
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
        file, name = mean_of(task, metric)
        names = [name, metric + STD]
    found, where = metrics.get(file, {}), f"metrics/{file}.json"
    if isinstance(found, InputError):
        return Verdict(task, metric, "unreadable", 2, str(found), **known)
    for needed in names:
        if needed not in found:
            text = f"{where}: {needed} is missing; {AGAIN}, or correct gates.{task} in params.yaml"
            return Verdict(task, metric, "missing", 2, text, **known)
        if not is_finite(found[needed]):
            text = f"{where}: {needed} is no finite number but {quoted(found[needed])}; {AGAIN}"
            return Verdict(task, metric, "no number", 2, text, **known)
    known["value"] = value = found[name]
    if gate.deviations is not None:
        known["std"] = found[metric + STD]
    there = base_metrics.get(file, {})
    if not isinstance(there, InputError) and name not in there:
        # The base has no mean: its one figure is what there is to compare the mean with.
        there, file, name = base_metrics.get(task, {}), task, metric
    if isinstance(there, InputError):
        return Verdict(task, metric, "bad base", 2, str(there), **known)
    base = there.get(name)
    if name in there and not is_finite(base):
        text = f"metrics/{file}.json at the base: {name} is no finite number but {quoted(base)}"
        return Verdict(task, metric, "bad base", 2, f"{text}; choose another", **known)
    known["base"] = base
    # Turning the direction round must not hide a regression.
    worse = base_gate.worse if base_gate else None
    verdict, wrong = judge(gate, value, base, known.get("std"), worse)
    if verdict == "holds":
        return Verdict(task, metric, verdict, **known)
    text = f"{where}: {metric} {verdict}: {wrong} (gates.{task}.{metric} in params.yaml)"
    return Verdict(task, metric, verdict, 1, text, **known)
