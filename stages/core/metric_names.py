"""What the name of a metric says: which values are better, and whether it counts something."""

from collections.abc import Iterable

# Metrics for which lower is better: their names end with one of these.
LOWER_IS_BETTER = ("loss", "perplexity", "bits_per_byte", "wer", "cer", "mse", "wer_raw", "cer_raw")
# Figures that say how much there was, not how good a model is.
COUNTS = ("samples", "number", "total")
# Of a model's metrics: the split they are on.
SPLITS = ("eval_", "test_")


def ends_with(metric: str, words: tuple[str, ...]) -> bool:
    """Whether the name of a metric ends with one of some words, which blanks `_` set apart."""
    return any(f"_{metric}".endswith(f"_{word}") for word in words)


def greater_is_better(metric: str) -> bool:
    """Whether higher is better, by the metric's name: `eval_f1` yes, `eval_loss` no."""
    return not ends_with(metric, LOWER_IS_BETTER)


def is_count(metric: str) -> bool:
    """Whether a metric is a number of rows or the like: `eval_samples`, `eval_LOC_number`."""
    return ends_with(metric, COUNTS)


def chosen(metrics: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of some metrics that are wanted, of whatever split; all where there is none of them."""
    metrics = list(metrics)
    by_name = {without_split(name): name for name in metrics}
    names = dict.fromkeys(map(without_split, wanted))
    return [by_name[name] for name in names if name in by_name] or metrics


def without_split(metric: str) -> str:
    """The name that a metric has whatever it was computed on: `f1` of `eval_f1`."""
    split = next((one for one in SPLITS if metric.startswith(one)), "")
    return metric.removeprefix(split)
