"""Several rows in one row of a batch, so that hardly any of it is padding.

A model keeps the attention of each sequence to itself, and its positions begin again
(`stages.models.layers`).
"""

from collections.abc import Sequence

import numpy as np

from stages.core.checksums import checksum
from stages.data.batching import Batches, Columns
from stages.data.groups import Groups, group_rows, packed_length, rounded
from stages.data.shapes import Shapes, row_lengths
from stages.data.views import LazySequence

# What is known of the sequences in a packed row, as columns. Of targets with lengths that differ
# from those of the tokens there is one more.
SEQUENCE_IDS, STARTS, TARGET_SEQUENCE_IDS = "sequence_ids", "starts", "target_sequence_ids"
# `starts` where a packed row has no further sequence.
NO_SEQUENCE = -1


class PackedBatches(Batches):
    """Batches of packed rows, all of one shape.

    A step has the tokens of about `batch_size` rows, in as many packed rows as these fill. A column
    of token arrays is joined, sequence after sequence; one of numbers becomes an array of one
    number a sequence. Three columns are added, or two where there are no targets: `sequence_ids`
    int32 [tokens], from 1, 0 at padding; `starts` int32 [sequences], where each begins, -1 where
    there is none; `target_sequence_ids`.

    Args:
        columns, padding, batch_size, buckets, seed, shuffle, by, targets, devices, shapes: as in
            `Batches`; one target at most.
        full_length: of packed rows (default: chosen by the lengths, see `packed_length`).
        max_length, max_targets: the longest row there may be in another block of a stream.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        padding: dict[str, int],
        batch_size: int,
        by: str = "input_ids",
        targets: Sequence[str] = (),
        full_length: int | None = None,
        max_length: int | None = None,
        max_targets: int | None = None,
        devices: int = 1,
        shapes: Shapes | None = None,
        **options,
    ):
        self._unpacked = columns
        self._arguments = {
            "padding": padding, "batch_size": batch_size, "by": by, "targets": targets,
            "full_length": full_length, "max_length": max_length, "max_targets": max_targets,
            "devices": devices, **options,
        }  # fmt: skip
        sizes = [row_lengths(columns[name]) for name in (by, *targets)]
        order = np.arange(len(sizes[0]))
        if options.get("shuffle", True):
            order = np.random.default_rng(options.get("seed", 0)).permutation(order)
        if shapes is None:
            length = full_length or packed_length(sizes[0][order])
            rooms, most = [length, *(_target_room(length, *sizes) for _ in targets)], None
        else:
            rooms = [shapes.lengths[-1], *(int(shapes.targets[name][-1]) for name in targets)]
            most = int(shapes.targets[STARTS][-1])
        self.groups = group_rows(sizes, rooms, order, most)
        packed, ends = pack_columns(columns, self.groups, by, targets)
        shares = len(self.groups.counts) / len(order)
        super().__init__(
            packed,
            padding={**padding, STARTS: NO_SEQUENCE},
            batch_size=max(1, round(batch_size * shares / devices)) * devices,
            by=by,
            full_length=rooms[0],
            devices=devices,
            **options,
        )
        most = most or int(self.groups.counts.max())
        self.target_lengths = {name: np.array([most]) for name in ends}
        if targets:
            for name in (*targets, TARGET_SEQUENCE_IDS):
                self.target_lengths[name] = np.array([rooms[1]])

    def __str__(self) -> str:
        packed, length = len(self.lengths), self.buckets[-1]
        share = self.lengths.sum() / (packed * length)
        return (
            f"packed: {len(self.groups.members):,} rows into {packed:,} of {length} tokens, "
            f"{share:.1%} full; {self.batch_size} of them a step"
        )

    @property
    def rows(self) -> int:
        """How many rows there are, not yet packed."""
        return len(self.groups.members)

    def row_totals(self, epoch: int) -> np.ndarray:
        """Rows, not yet packed, before each batch of an epoch, and of all."""
        counts = self.groups.counts
        rows = [counts[groups].sum() for groups, _ in self._groups(epoch)]
        return np.cumsum([0, *rows], dtype=np.int64)

    def fixed_shapes(self) -> Shapes:
        """One shape, which holds the longest rows there may be."""
        longest, longest_target = (self._arguments[name] for name in ("max_length", "max_targets"))
        length = max(self.buckets[-1], rounded(longest or 0))
        scale = length / self.buckets[-1]
        targets = {STARTS: np.ceil(self.target_lengths[STARTS] * scale).astype(np.int64)}
        for name in self._arguments["targets"]:
            room = rounded(int(self.target_lengths[name][-1]) * scale)
            targets[name] = np.array([max(room, rounded(longest_target or 0))])
        return Shapes([length], targets)

    def with_shapes(self, shapes: Shapes) -> "PackedBatches":
        """The same rows, packed into rows of that shape; these, if they are of it already."""
        same = [
            (self.target_lengths[name] == length).all() for name, length in shapes.targets.items()
        ]
        if shapes.lengths == self.buckets and all(same):
            return self
        return PackedBatches(self._unpacked, shapes=shapes, **self._arguments)


def _target_room(length: int, lengths: np.ndarray, targets: np.ndarray) -> int:
    """The tokens of a packed target beside `length` tokens of packed rows.

    In proportion, and a tenth more: the rows of a group have more of the one or of the other.
    """
    share = 1.1 * length * targets.sum() / lengths.sum()
    return max(rounded(share), rounded(targets.max()))


def pack_columns(
    columns: Columns, groups: Groups, by: str, targets: Sequence[str]
) -> tuple[Columns, list[str]]:
    """The columns of packed rows, and the names of those with an entry a sequence."""
    lengths = row_lengths(columns[by])
    packed: Columns = {}
    numbers = [STARTS]
    for name, column in columns.items():
        if np.ndim(column[0]) == 0:
            packed[name] = Gathered(column, groups)
            numbers.append(name)
        else:
            packed[name] = Joined(column, groups)
    packed[SEQUENCE_IDS] = SequenceIds(lengths, groups)
    packed[STARTS] = Starts(lengths, groups)
    for name in targets:
        packed[TARGET_SEQUENCE_IDS] = SequenceIds(row_lengths(columns[name]), groups)
    return packed, numbers


class _Packed(LazySequence):
    """An entry for each group, made of what its rows have."""

    def __init__(self, column: Sequence, groups: Groups):
        self._column, self._groups = column, groups

    @property
    def fingerprint(self) -> str:
        """Identifies the content, if the column has a fingerprint."""
        return f"{self._column.fingerprint} {checksum(self._groups)}"

    def __len__(self) -> int:
        return len(self._groups.ends) - 1


class Joined(_Packed):
    """The token arrays of each group's rows, one after another."""

    def __init__(self, column: Sequence, groups: Groups):
        super().__init__(column, groups)
        self.lengths = groups.sums(row_lengths(column))

    def row(self, row: int) -> np.ndarray:
        """Those of one group, from 0."""
        return np.concatenate([self._column[one] for one in self._groups.rows(row).tolist()])


class Gathered(_Packed):
    """The numbers of each group's rows."""

    def row(self, row: int) -> np.ndarray:
        """Those of one group, from 0."""
        return np.array([self._column[one] for one in self._groups.rows(row).tolist()])


class SequenceIds(_Packed):
    """Which of a group's rows each token is of, from 1; the column is their lengths."""

    def row(self, row: int) -> np.ndarray:
        """Those of one group, from 0: int32 array [tokens]."""
        lengths = self._column[self._groups.rows(row)]
        return np.repeat(np.arange(1, len(lengths) + 1, dtype=np.int32), lengths)


class Starts(_Packed):
    """Where each of a group's rows begins; the column is their lengths."""

    def row(self, row: int) -> np.ndarray:
        """Those of one group, from 0: int32 array [sequences]."""
        lengths = self._column[self._groups.rows(row)]
        return (np.cumsum(lengths) - lengths).astype(np.int32)
