"""The metrics of text classification, those of the GLUE benchmark among them."""

from collections import Counter
from collections.abc import Iterable, Sequence

import datasets
import numpy as np

from stages.tasks.glue.examples import REGRESSION_TASKS
from stages.tasks.local_metric import LocalMetric

REGRESSION = "regression"

# What the benchmark calls the class that F1 is about, in its files and on the hub.
_POSITIVE = ("equivalent", "duplicate", "1")


class Glue(LocalMetric):
    """The figures of one task, equal to those of the benchmark's own metric.

    `Glue("mrpc").compute(predictions=[...], references=[...])` with class numbers, or with
    numbers for a regression, returns

    - `matthews_correlation` for cola,
    - `accuracy` and `f1` for mrpc and qqp; `positive` (1) is the class that F1 is about,
    - `pearson` and `spearmanr` for stsb; nan where all predictions are the same,
    - `mse` for `REGRESSION`,
    - `accuracy` for every other task and without one.

    Source: https://gluebenchmark.com, Wang et al. 2019.
    """

    description = "Metrics of text classification"
    array_format = "numpy"

    def input_features(self) -> datasets.Features:
        """Single precision for a regression, as in the benchmark's metric, else whole numbers."""
        real = self.config_name in (*REGRESSION_TASKS, REGRESSION)
        value = datasets.Value("float32" if real else "int64")
        return datasets.Features({"predictions": value, "references": value})

    def _start(self) -> None:
        # All rows: numbers of 4 or 8 bytes.
        kinds = (self.features[name].dtype for name in ("predictions", "references"))
        self._columns = [[np.zeros(0, kind)] for kind in kinds]

    def _add(self, predictions: np.ndarray, references: np.ndarray) -> None:
        for column, part in zip(self._columns, (predictions, references), strict=True):
            column.append(part)

    def _result(self, positive: int = 1) -> dict[str, float]:
        predictions, references = (np.concatenate(column) for column in self._columns)
        # Libraries that take longer to import than one metric alone is worth waiting for.
        if self.config_name == "stsb":
            from scipy.stats import pearsonr, spearmanr

            return {
                "pearson": float(pearsonr(predictions, references)[0]),
                "spearmanr": float(spearmanr(predictions, references)[0]),
            }
        if self.config_name == REGRESSION:
            difference = predictions.astype(np.float64) - references.astype(np.float64)
            return {"mse": float((difference**2).mean())}
        if self.config_name == "cola":
            from sklearn.metrics import matthews_corrcoef

            return {"matthews_correlation": float(matthews_corrcoef(references, predictions))}
        scores = {"accuracy": float((predictions == references).mean())}
        if self.config_name in ("mrpc", "qqp"):
            from sklearn.metrics import f1_score

            hits = f1_score(references == positive, predictions == positive, zero_division=0)
            scores["f1"] = float(hits)
        return scores


def positive_class(names: Sequence[str]) -> int:
    """Which of the classes F1 is about: the benchmark's name for it, else the second class."""
    return next((list(names).index(name) for name in _POSITIVE if name in names), 1)


def accuracy_by_group(
    predictions: Iterable[int], references: Iterable[int], groups: Iterable[str]
) -> dict[str, float]:
    """`accuracy_GROUP` for each group of rows, such as each kind of pair; blanks become `_`."""
    hits: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for prediction, reference, group in zip(predictions, references, groups, strict=True):
        hits[group] += int(prediction == reference)
        rows[group] += 1
    return {
        "accuracy_" + "_".join(group.split()): hits[group] / rows[group] for group in sorted(rows)
    }
