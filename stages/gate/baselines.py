"""What simple methods reach: the best figure of a metric in `metrics/baselines/TASK.json`.

The file names each figure METHOD_METRIC, the metric with or without the split of the model's own
(`bag_of_words_accuracy`, `trigram_eval_perplexity`). Which part is the method follows from the
names of the model's metrics, the longest first: `lookup_LOC_f1` is no F1 of a `lookup_LOC`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from stages.core.metric_names import greater_is_better, without_split
from stages.gate.files import is_finite
from stages.gate.limits import Gate


class Baseline(NamedTuple):
    """The best of the simple methods: its name and its figure."""

    method: str
    value: float

    def __str__(self) -> str:
        return f"{self.value:.6g} ({self.method})"


def best_baseline(
    metric: str, gate: Gate, found: Mapping[str, object], metrics: Iterable[str]
) -> Baseline | None:
    """The baseline that a metric is to be compared with; None if no method has a figure of it.

    Args:
        metric: of the model, such as `eval_f1`.
        gate: says which values are better; where it does not, the metric's name does.
        found: the content of the file.
        metrics: the names of all metrics of the model.
    """
    names = {form: one for one in (*metrics, metric) for form in (one, without_split(one))}
    wanted = {metric, without_split(metric)}
    forms = sorted(names, key=len, reverse=True)
    methods = []
    for key, value in found.items():
        form = next((one for one in forms if str(key).endswith(f"_{one}")), None)
        if form in wanted and is_finite(value):
            methods.append(Baseline(str(key).removesuffix(f"_{form}"), value))
    best = max if is_higher_better(metric, gate) else min
    return best(methods, key=lambda one: one.value, default=None)


def is_higher_better(metric: str, gate: Gate) -> bool:
    """Whether higher values of a metric are better, by its gate, else by its name."""
    if gate.direction == "neither":
        return greater_is_better(metric)
    return gate.direction == "higher"


def not_beaten(
    task: str, metric: str, gate: Gate, value: float, baseline: Baseline | None
) -> list[str]:
    """A line where a figure is no better than a baseline; none where it is, or there is none."""
    if baseline is None or lead(value, baseline, is_higher_better(metric, gate)) > 0:
        return []
    return [f"{task}: {metric} {value:.6g} is no better than the baseline {baseline}"]


def lead(value: float, baseline: Baseline, higher: bool) -> Decimal:
    """How far a figure is better than a baseline, in the digits of both; negative if worse.

    Args:
        value: of the model.
        baseline: of the same metric.
        higher: whether higher values are better.
    """
    difference = Decimal(str(value)) - Decimal(str(baseline.value))
    return difference if higher else -difference
