"""The base of all tasks' metrics.

Importing `evaluate` takes as long as all that a script needs to start, and 160 MB: it imports
`datasets` and SciPy's statistics. Scripts therefore import a metric only when they compute it.
"""

import datasets
import evaluate


class LocalMetric(evaluate.Metric):
    """A metric defined in this repository: computed in memory, nothing fetched or left on disk.

    A subclass defines `input_features` and `_compute`.
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
