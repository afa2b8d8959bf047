"""Ragged rows into batches of few shapes."""

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stages.core.checksums import checksum
from stages.data.shapes import LENGTH_MULTIPLE, Shapes, bucket_lengths, row_lengths

# Label of a position or row that is not scored, as in PyTorch.
IGNORE_INDEX = -100

Columns = dict[str, Sequence]


class Batch(NamedTuple):
    """One batch of a fixed shape.

    indices: int array [rows]; the row of the data set, -1 for a padding row.
    arrays: the inputs of a step; `row_mask` float32 [rows] is 0 for a padding row.
    """

    indices: np.ndarray
    arrays: dict[str, np.ndarray]


class Batches:
    """Batches of `batch_size` rows, each padded to the smallest bucket length that holds it.

    Args:
        columns: name to one entry a row: an int array of any length, padded; a number; or an
            array with more axes, whose shape is the same in all rows, stacked. Lists, arrays, or
            columns of `stages.data.store`, whose rows are read where a batch needs them.
        padding: the padding value of a column; 0 by default.
        batch_size: rows of a batch over all devices; the last batch is padded with rows whose
            `row_mask` is 0.
        buckets: the most lengths to pad to.
        saving: padded tokens that each further length must save in a pass over the rows.
        seed: of the order of training rows.
        shuffle: whether to shuffle training rows.
        full_length: pad every row to this length.
        max_length: cap of a bucket, for models whose positions are no multiple of eight.
        by: the column whose lengths determine a row's bucket.
        targets: columns with other lengths, such as the labels of an encoder-decoder. In each
            bucket they are padded to the longest in it or in a shorter bucket, so a bucket still
            has one shape.
        max_targets: the most tokens of a target.
        devices: number of devices that share a batch evenly.
        shapes: of the batches, where they are known, instead of those that follow from the rows.

    pass_length: batches of one pass, in training and evaluation alike.
    loss_window: of how many last batches the training's loss is the mean.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        padding: dict[str, int],
        batch_size: int,
        buckets: int,
        saving: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        full_length: int | None = None,
        max_length: int | None = None,
        by: str = "input_ids",
        targets: Sequence[str] = (),
        max_targets: int | None = None,
        devices: int = 1,
        shapes: Shapes | None = None,
    ):
        self.columns = columns
        self.padding = padding
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.devices = devices
        self._longest_row = max_length, max_targets
        self._fixed = False
        self.lengths = row_lengths(columns[by])
        if shapes is not None:
            self._take_shapes(shapes)
            return
        self.buckets = bucket_lengths(self.lengths, buckets, saving=saving, full=full_length)
        if max_length is not None:
            self.buckets[-1] = min(self.buckets[-1], max_length)
        self.bucket_of = np.searchsorted(self.buckets, self.lengths)
        self.target_lengths = {name: self._longest(row_lengths(columns[name])) for name in targets}

    def _longest(self, lengths: np.ndarray) -> np.ndarray:
        """The padded length of a target column in each bucket, never shorter in a longer one.

        It never exceeds the longest row: a decoder's positions may be no multiple of eight.
        """
        longest = np.ones(len(self.buckets), np.int64)
        np.maximum.at(longest, self.bucket_of, lengths)
        rounded = -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
        return np.minimum(np.maximum.accumulate(rounded), longest.max())

    def fixed_shapes(self) -> Shapes:
        """The shapes of these batches, and one more for the longest rows there may be."""
        max_length, max_targets = self._longest_row
        lengths, targets = list(self.buckets), dict(self.target_lengths)
        longest = max_length or lengths[-1]
        if lengths[-1] < longest or any(found[-1] < max_targets for found in targets.values()):
            lengths.append(longest)
            targets = {name: np.append(found, max_targets) for name, found in targets.items()}
        return Shapes(lengths, targets)

    def with_shapes(self, shapes: Shapes) -> "Batches":
        """The same rows, each in the first bucket of `shapes` that holds all of it."""
        batches = copy.copy(self)
        batches._take_shapes(shapes)
        return batches

    def _take_shapes(self, shapes: Shapes) -> None:
        self._fixed = True
        self.buckets, self.target_lengths = shapes
        self.bucket_of = np.searchsorted(shapes.lengths, self.lengths)
        for name, lengths in shapes.targets.items():
            needed = np.searchsorted(lengths, row_lengths(self.columns[name]))
            self.bucket_of = np.maximum(self.bucket_of, needed)

    def __len__(self) -> int:
        """Batches of one epoch, in training and evaluation alike."""
        return -(-len(self.lengths) // self.batch_size)

    pass_length = loss_window = property(__len__)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    def row_totals(self, epoch: int) -> np.ndarray:
        """Rows before each batch of an epoch, and of all: int64 array [batches + 1]."""
        return np.minimum(np.arange(len(self) + 1) * self.batch_size, len(self.lengths))

    def position(self, done: int) -> None:
        """What `endless` needs besides the number of batches: nothing."""

    def rows_seen(self, done: int) -> None:
        """Only a stream tells by its batches how many rows there are."""

    def endless(self, done: int = 0, position: None = None) -> Iterator[Batch]:
        """The batches of pass after pass, without the first `done`, which cost nothing."""
        epoch, skip = divmod(done, len(self))
        while True:
            yield from self.training(epoch, skip)
            epoch, skip = epoch + 1, 0

    def with_batch_size(self, batch_size: int) -> "Batches":
        """The same rows, buckets and seed in batches of `batch_size` rows."""
        batches = copy.copy(self)
        batches.batch_size = batch_size
        return batches

    def training(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of one epoch without the first `skip`, which cost nothing.

        Their order depends on seed and epoch, or is that of the rows. A bucket yields a batch as
        soon as it has enough rows. Rows left at the end move up to longer buckets, so that only
        the last batch needs padding rows.
        """
        for rows, bucket in itertools.islice(self._groups(epoch), skip, None):
            yield self._collate(rows, bucket, self.batch_size)

    def _groups(self, epoch: int) -> Iterator[tuple[list[int], int]]:
        order = np.arange(len(self.lengths))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        waiting: list[list[int]] = [[] for _ in self.buckets]
        for row in order:
            bucket = self.bucket_of[row]
            waiting[bucket].append(row)
            if len(waiting[bucket]) == self.batch_size:
                yield waiting[bucket], bucket
                waiting[bucket] = []
        left: list[int] = []
        for bucket, rows in enumerate(waiting):
            left += rows
            if len(left) >= self.batch_size:
                yield left[: self.batch_size], bucket
                left = left[self.batch_size :]
        if left:
            # The last bucket of given shapes may be much longer than any of these rows.
            yield left, self.bucket_of[left].max() if self._fixed else len(self.buckets) - 1

    def digest(self) -> str:
        """SHA-256 of all rows as they are trained on, in the order of the file."""
        columns = (
            [name.encode(), *_content(column)] for name, column in sorted(self.columns.items())
        )
        return checksum([self.lengths, *itertools.chain.from_iterable(columns)])

    def evaluation(self) -> Iterator[Batch]:
        """Every row once, shortest first.

        There are as many batches as `batch_size` requires, but of as few rows as possible: 9 rows
        by 4 make 3 batches of 3, without padding rows.
        """
        order = np.argsort(self.lengths, kind="stable")
        even = -(-len(order) // len(self))
        size = -(-even // self.devices) * self.devices
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield self._collate(rows, self.bucket_of[rows].max(), size)

    def _collate(self, rows: Sequence[int], bucket: int, size: int) -> Batch:
        arrays = {}
        for name, column in self.columns.items():
            fill = self.padding.get(name, 0)
            first = column[rows[0]]
            if np.ndim(first) == 0:
                dtype = np.float32 if isinstance(first, (float, np.floating)) else np.int32
                array = np.full(size, fill, dtype)
                array[: len(rows)] = [column[row] for row in rows]
            elif np.ndim(first) > 1:
                array = np.full((size, *np.shape(first)), fill, first.dtype)
                for position, row in enumerate(rows):
                    array[position] = column[row]
            else:
                lengths = self.target_lengths.get(name, self.buckets)
                dtype = np.float32 if np.asarray(first).dtype.kind == "f" else np.int32
                array = np.full((size, lengths[bucket]), fill, dtype)
                for position, row in enumerate(rows):
                    entry = column[row]
                    array[position, : len(entry)] = entry
            arrays[name] = array
        indices = np.full(size, -1, np.int64)
        indices[: len(rows)] = rows
        arrays["row_mask"] = (indices >= 0).astype(np.float32)
        return Batch(indices, arrays)


def _content(column: Sequence) -> Sequence:
    """The rows of a column, or what identifies them, for a checksum."""
    fingerprint = getattr(column, "fingerprint", None)
    return column if fingerprint is None else [fingerprint.encode()]
