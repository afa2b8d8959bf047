"""When a gate holds: pure functions over what `stages.gate.files` reads."""

from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal

from stages.core.errors import InputError, quoted
from stages.gate.baselines import Baseline, best_baseline, lead
from stages.gate.files import AGAIN, STD, baselines_of, is_finite, mean_of
from stages.gate.limits import NO_GATE, Gate, Tolerance, shown
from stages.gate.schema import parse_gates, switched_off

OFF = "switched off"
# Of a task with other test data than at the base.
NOT_COMPARED = "data changed, not compared"


@dataclass(frozen=True)
class Verdict:
    """What was found for one metric; for a whole task or file, with an empty metric.

    value, base: of a gate with `deviations` the means, with their `std` here; where the base has
    no mean, its one figure.
    baseline: what the best simple method reaches, if that is known.
    data: of a task that is not compared, the sums of the test data at the base and here.
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
    baseline: Baseline | None = None
    data: tuple[str, str] | None = None


def judge(
    gate: Gate,
    value: float,
    base: float | None = None,
    std: float | None = None,
    worse: frozenset[str] | None = None,
    baseline: Baseline | None = None,
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
      baseline: what a gate with `beats` is held to as well.
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
    if gate.beats is not None:
        higher = gate.direction == "higher"
        margin = gate.margin or Tolerance(0, relative=False)
        ahead = lead(value, baseline, higher) - spread
        # Better than the baseline, and by the margin if there is one.
        if not (ahead > 0 and ahead >= margin.of(Decimal(str(baseline.value)))):
            by = f" by {margin}" if margin.amount else ""
            method = f"baseline {baseline.method}, {baseline.value}"
            # Of a figure that leaves no room, say.
            way = "" if ahead else "; it is as good, so give a min or a max instead"
            return "falls short", f"{low if higher else high} does not beat the {method}{by}{way}"
    if base is None or gate.tolerance is None:
        return "holds", ""
    wrong = judge_tolerance(gate.tolerance, value, base, worse)
    return ("regressed", f"{wrong} the base, {base}") if wrong else ("holds", "")


def judge_tolerance(tolerance: Tolerance, value: float, other: float, worse: Set[str]) -> str:
    """How far a value lies beyond what is allowed around another; "" where it does not.

    Args:
      worse: which sides count, of "falling" and "rising".
    """
    now, then = (Decimal(str(one)) for one in (value, other))
    allowed = tolerance.of(then)
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
        under `over_seeds(task)` for a task that has a gate with `deviations`, under
        `baselines_of(task)` for what simple methods reach.
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
            if gates.gives_up(task, metric):
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


class Unclear(Exception):
    """Why nothing can be said of a gate: a verdict and the line of what is wrong."""

    def __init__(self, verdict: str, text: str):
        super().__init__(text)
        self.verdict = verdict


def evaluate_gate(key: tuple[str, str], gate: Gate, base_gate: Gate | None, metrics, base_metrics):
    """Judge one gate of one task; see `evaluate_gates`."""
    task, metric = key
    file, name = key if gate.deviations is None else mean_of(task, metric)
    known = {"gate": gate}
    try:
        known |= _read_figures(task, metric, gate, metrics)
        known["baseline"] = _read_baseline(task, metric, gate, metrics)
        known["base"] = _read_base(task, metric, (file, name), base_metrics)
    except Unclear as why:
        return Verdict(task, metric, why.verdict, 2, str(why), **known)
    # Turning the direction round must not hide a regression.
    worse = base_gate.worse if base_gate else None
    figures = (known["value"], known["base"], known.get("std"))
    verdict, wrong = judge(gate, *figures, worse, known["baseline"])
    if verdict == "holds":
        return Verdict(task, metric, verdict, **known)
    text = f"{metric} {verdict}: {wrong} (gates.{task}.{metric} in params.yaml)"
    return Verdict(task, metric, verdict, 1, f"metrics/{file}.json: {text}", **known)


def _read_figures(task: str, metric: str, gate: Gate, metrics) -> dict[str, float]:
    """The value, of a gate with `deviations` the mean, and then its deviation."""
    file, wanted = task, {"value": metric}
    if gate.deviations is not None:
        file, mean = mean_of(task, metric)
        wanted = {"value": mean, "std": metric + STD}
    found, where = metrics.get(file, {}), f"metrics/{file}.json"
    if isinstance(found, InputError):
        raise Unclear("unreadable", str(found))
    for name in wanted.values():
        if name not in found:
            correct = f"{AGAIN}, or correct gates.{task} in params.yaml"
            raise Unclear("missing", f"{where}: {name} is missing; {correct}")
        if not is_finite(found[name]):
            text = f"{where}: {name} is no finite number but {quoted(found[name])}; {AGAIN}"
            raise Unclear("no number", text)
    return {part: found[name] for part, name in wanted.items()}


def _read_baseline(task: str, metric: str, gate: Gate, metrics) -> Baseline | None:
    """The best baseline; None where there is none and the gate asks for none."""
    file = baselines_of(task)
    found, own = metrics.get(file, {}), metrics.get(task, {})
    if isinstance(found, InputError):
        if gate.beats is not None:
            raise Unclear("unreadable", str(found))
        return None
    best = best_baseline(metric, gate, found, () if isinstance(own, InputError) else own)
    if best is None and gate.beats is not None:
        remedy = f"{AGAIN}, or take `beats` out of gates.{task}.{metric} in params.yaml"
        raise Unclear("missing", f"metrics/{file}.json: no baseline of {metric}; {remedy}")
    return best


def _read_base(task: str, metric: str, wanted: tuple[str, str], base_metrics) -> float | None:
    """The figure at the base; None where it has none."""
    file, name = wanted
    found = base_metrics.get(file, {})
    if not isinstance(found, InputError) and name not in found:
        # The base has no mean: its one figure is what there is to compare the mean with.
        found, file, name = base_metrics.get(task, {}), task, metric
    if isinstance(found, InputError):
        raise Unclear("bad base", str(found))
    base = found.get(name)
    if name in found and not is_finite(base):
        text = f"metrics/{file}.json at the base: {name} is no finite number but {quoted(base)}"
        raise Unclear("bad base", f"{text}; choose another")
    return base
