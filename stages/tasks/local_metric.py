"""The base of all tasks' metrics.

Importing `evaluate` takes as long as all that a script needs to start, and 160 MB: it imports
`datasets` and SciPy's statistics. Scripts therefore import a metric only when they compute it.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice

import datasets
import evaluate

# Rows that are counted at once: what is held of them in several forms, while they are checked.
CHUNK = 2048


class LocalMetric(evaluate.Metric):
    """A metric defined in this repository: counted in chunks, nothing fetched or left on disk.

    `compute(predictions=..., references=..., **options)` takes any two iterables and goes through
    them once, in step; `add_batch` does the same, for a `compute` without rows that follows.
    `evaluate` checks and converts each chunk, as it does with whole columns.

    A subclass defines `input_features`, and how it counts: `_start`, `_add` and `_result`. What it
    keeps of all rows is counts, or compact arrays where a figure needs every row.
    """

    description = ""
    # The format in which `_add` gets its columns: "numpy", or None for plain lists.
    array_format: str | None = None

    def __init__(self, config_name: str | None = None):
        super().__init__(config_name, keep_in_memory=True)
        self._clear()

    def input_features(self) -> datasets.Features:
        """The types of `predictions` and `references`."""
        raise NotImplementedError

    def _start(self) -> None:
        """Begin to count: no rows yet."""
        raise NotImplementedError

    def _add(self, predictions: Sequence, references: Sequence) -> None:
        """Count some rows, as many of the one as of the other, in `array_format`."""
        raise NotImplementedError

    def _result(self, **options) -> dict[str, float]:
        """The figures of all rows that were added; `options`: those of `compute`."""
        raise NotImplementedError

    def add_batch(self, *, predictions: Iterable, references: Iterable) -> None:
        """Add rows.

        Raises:
            ValueError: more of the one than of the other, or rows of another type; nothing that
                was added before is kept then.
        """
        try:
            for chunk in in_step(predictions=predictions, references=references):
                super().add_batch(**chunk)
                self._count()
        except BaseException:
            self._clear()
            raise

    def add(self, *, prediction, reference) -> None:
        """Add one row.

        Raises:
            ValueError: it has another type.
        """
        super().add(prediction=prediction, reference=reference)
        self._count()

    def compute(
        self,
        *,
        predictions: Iterable | None = None,
        references: Iterable | None = None,
        **options,
    ) -> dict[str, float]:
        """The figures of these rows and those that were added; the next call starts from nothing.

        Raises:
            ValueError: as in `add_batch`.
        """
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references)
        try:
            self._count(least=1)
            return self._result(**options)
        finally:
            self._clear()

    def _count(self, least: int | None = None) -> None:
        """Count what `evaluate` holds, if it is at least so many rows, `CHUNK` for None."""
        if len(self) < (CHUNK if least is None else least):
            return
        self._finalize()
        self.data.set_format(type=self.info.format)
        self._add(*(self.data[name][:] for name in ("predictions", "references")))
        self.data = self.buf_writer = None

    def _clear(self) -> None:
        self.data = self.writer = self.buf_writer = None
        self._start()

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


def in_step(**columns: Iterable) -> Iterator[dict[str, Sequence]]:
    """Go through columns side by side: at most `CHUNK` rows of each, under the columns' names.

    Raises:
        ValueError: a column is missing, or one has more rows than another.
    """
    for name, column in columns.items():
        if not isinstance(column, Iterable):
            raise ValueError(f"the {name} are {column!r:.80}; expected one a row")
    sizes = {name: len(column) for name, column in columns.items() if isinstance(column, Sized)}
    _check_equal(sizes, "")
    chunked = {name: _chunks(column) for name, column in columns.items()}
    done = 0
    while True:
        chunk = {name: next(parts, ()) for name, parts in chunked.items()}
        sizes = {name: done + len(part) for name, part in chunk.items()}
        _check_equal(sizes, "at least ")
        if not any(map(len, chunk.values())):
            return
        yield chunk
        done = max(sizes.values())


def _chunks(column: Iterable) -> Iterator[Sequence]:
    # Others may give one row at a time only.
    if isinstance(column, list | tuple) or hasattr(column, "shape"):
        for begin in range(0, len(column), CHUNK):
            yield column[begin : begin + CHUNK]
        return
    rows = iter(column)
    while part := list(islice(rows, CHUNK)):
        yield part


def _check_equal(sizes: dict[str, int], most: str) -> None:
    """Refuse sizes that differ; `most` is said of the largest, which may not be the last word."""
    if len(set(sizes.values())) > 1:
        largest = max(sizes.values())
        said = (f"{name} ({most if size == largest else ''}{size})" for name, size in sizes.items())
        raise ValueError(f"Mismatch in the number of {' and '.join(said)}")
