"""What the metrics of all tasks share."""

import sys

import datasets

# Only evaluate's `Evaluator` needs SciPy's statistics, which are half of what importing evaluate
# takes: half a second and 60 MB. It does without where they cannot be imported.
if "scipy.stats" not in sys.modules:
    sys.modules["scipy.stats"] = None
import evaluate

if sys.modules["scipy.stats"] is None:
    del sys.modules["scipy.stats"]


class LocalMetric(evaluate.Metric):
    """A metric defined in this repository: computed in memory, nothing fetched or left on disk.

    A subclass says what it takes in `input_features` and computes in `_compute`.
    """

    description = ""
    # The format in which `_compute` gets its columns: "numpy", or None for plain lists.
    array_format: str | None = None

    def __init__(self, config_name: str | None = None):
        super().__init__(config_name, keep_in_memory=True)

    def input_features(self) -> datasets.Features:
        """The types of `predictions` and `references`."""
        raise NotImplementedError

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            features=self.input_features(),
            format=self.array_format,
        )

    def _build_data_dir(self) -> str:
        # The library makes a cache folder even for a metric that is kept in memory, and so
        # fails where the home folder cannot be written.
        return ""
