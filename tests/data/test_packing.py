"""Packed rows: what lies together, what a batch holds of it, and their one shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data import packing
from stages.data.batching import IGNORE_INDEX
from stages.data.groups import group_rows, packed_length
from stages.data.packing import PackedBatches

LENGTHS = [5, 3, 8, 2, 7, 1, 4, 6, 9, 3]


def columns(lengths=LENGTHS, targets=None):
    """Rows whose tokens tell row and place, a class each and a number each."""
    found = {
        "input_ids": [100 * row + np.arange(n, dtype=np.int32) for row, n in enumerate(lengths, 1)],
        "attention_mask": [np.ones(n, np.int32) for n in lengths],
        "labels": np.arange(len(lengths), dtype=np.int32),
        "score": np.arange(len(lengths), dtype=np.float32) / 8,
    }
    if targets:
        found["labels"] = [1000 + 100 * row + np.arange(n) for row, n in enumerate(targets, 1)]
        del found["score"]
    return found


def batches(lengths=LENGTHS, targets=None, **options):
    options = {"batch_size": 4, "buckets": 4, "padding": {"labels": IGNORE_INDEX}} | options
    if targets:
        options |= {"targets": ("labels",)}
    return PackedBatches(columns(lengths, targets), **options)


def unpack(batch):
    """The sequences of a batch: (tokens, label, score), in their order."""
    for row, starts in enumerate(batch.arrays["starts"]):
        ids = batch.arrays["sequence_ids"][row]
        for number, start in enumerate(starts[starts >= 0].tolist()):
            within = np.flatnonzero(ids == number + 1)
            assert within[0] == start
            assert (np.diff(within) == 1).all()
            yield (
                batch.arrays["input_ids"][row, within].tolist(),
                batch.arrays["labels"][row, number].item(),
                batch.arrays["score"][row, number].item(),
            )


@given(
    st.lists(st.tuples(st.integers(1, 16), st.integers(1, 9)), min_size=1, max_size=60),
    st.integers(0, 20),
    st.integers(0, 12),
    st.sampled_from([None, 1, 2, 5]),
    st.integers(0, 9),
)
def test_every_row_is_in_one_group_that_holds_it(sizes, spare, spare_target, most, seed):
    lengths, targets = np.array(sizes).T
    room = [lengths.max() + spare, targets.max() + spare_target]
    order = np.random.default_rng(seed).permutation(len(lengths))
    groups = group_rows([lengths, targets], room, order, most)
    assert sorted(groups.members) == list(range(len(lengths)))
    assert (groups.sums(lengths) <= room[0]).all()
    assert (groups.sums(targets) <= room[1]).all()
    assert most is None or (groups.counts <= most).all()
    assert groups.counts.min() >= 1


def test_rows_are_grouped_among_their_neighbours_in_order(monkeypatch):
    monkeypatch.setattr("stages.data.groups.WINDOW", 4)
    lengths = np.array([4, 4, 4, 4, 1, 7, 3, 5])
    groups = group_rows([lengths], [8], np.arange(8))
    assert [groups.rows(number).tolist() for number in range(len(groups.counts))] == [
        [0, 1], [2, 3], [4, 5], [6, 7],
    ]  # fmt: skip


def test_few_groups_for_many_lengths():
    lengths = np.random.default_rng(0).integers(4, 65, 3000)
    groups = group_rows([lengths], [128], np.arange(3000))
    assert lengths.sum() / (len(groups.counts) * 128) > 0.98


def test_the_length_is_the_least_that_is_full_enough():
    assert packed_length(np.full(500, 40)) == 40
    # 40 tokens are 90 % full, 48, 56 and 64 less.
    assert packed_length(np.full(500, 36)) == 72
    # None up to 32 is 95 % full; 15 of 16 tokens are as full as 30 of 32.
    assert packed_length(np.full(600, 5)) == 16
    assert packed_length(np.array([1])) == 8


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_pass_has_every_row_with_its_numbers_once(shuffle):
    data = batches(shuffle=shuffle, seed=3, full_length=16)
    found = [row for batch in data.training(0) for row in unpack(batch)]
    assert sorted(found) == [
        (list(range(100 * row, 100 * row + n)), row - 1, (row - 1) / 8)
        for row, n in enumerate(LENGTHS, 1)
    ]


def test_there_is_one_shape_and_padding_is_told():
    data = batches(full_length=16, seed=1)
    shapes = set()
    for batch in data.training(0):
        arrays = batch.arrays
        shapes.add(tuple((name, array.shape, array.dtype.str) for name, array in arrays.items()))
        ids = arrays["sequence_ids"]
        assert ((ids > 0) == (arrays["attention_mask"] == 1)).all()
        absent = arrays["starts"] < 0
        assert (arrays["labels"][absent] == IGNORE_INDEX).all()
        assert absent[arrays["row_mask"] == 0].all()
    assert len(shapes) == 1
    assert {name: kind for name, _, kind in shapes.pop()}["score"] == "<f4"


def test_a_step_has_about_as_many_rows():
    lengths = np.random.default_rng(5).integers(3, 40, 800).tolist()
    data = batches(lengths, batch_size=16)
    assert len(data) == pytest.approx(800 / 16, abs=2)
    counts = np.diff(data.row_totals(0))
    assert counts.mean() == pytest.approx(16, abs=1)
    assert batches(lengths, batch_size=16, devices=4).batch_size % 4 == 0


def test_row_totals_count_the_rows_of_batches():
    data = batches(full_length=16, batch_size=3, seed=2)
    for epoch in range(2):
        counts = [len(list(unpack(batch))) for batch in data.training(epoch)]
        assert data.row_totals(epoch).tolist() == np.cumsum([0, *counts]).tolist()
    assert data.row_totals(0)[-1] == len(LENGTHS)


def test_targets_fill_their_own_rows():
    targets = [2, 9, 1, 1, 3, 2, 6, 1, 1, 2]
    data = batches(targets=targets, full_length=16)
    seen = []
    for batch in data.training(0):
        arrays = batch.arrays
        assert arrays["labels"].shape == arrays["target_sequence_ids"].shape
        for row, starts in enumerate(arrays["starts"]):
            for number in range(1, (starts >= 0).sum() + 1):
                source = arrays["input_ids"][row, arrays["sequence_ids"][row] == number]
                target = arrays["labels"][row, arrays["target_sequence_ids"][row] == number]
                assert target[0] == 1000 + source[0]
                assert len(target) == targets[source[0] // 100 - 1]
                seen.append(source[0] // 100)
        padding = arrays["target_sequence_ids"] == 0
        assert (arrays["labels"][padding] == IGNORE_INDEX).all()
    assert sorted(seen) == list(range(1, 11))


@pytest.mark.parametrize("targets", [None, [1] * len(LENGTHS)])
def test_another_block_has_the_shape_of_the_first(targets):
    shapes = batches(targets=targets, max_length=30, max_targets=7).fixed_shapes()
    assert shapes.lengths == [32]
    others = targets and [7, 1, 1, 1, 2]
    other = batches([30, 1, 30, 2, 9], targets=others, shapes=shapes)
    one = next(batches(targets=targets).with_shapes(shapes).training(0)).arrays
    two = next(other.training(0)).arrays
    assert {name: array.shape[1:] for name, array in one.items()} == {
        name: array.shape[1:] for name, array in two.items()
    }


@pytest.mark.parametrize("targets", [None, [1] * len(LENGTHS)])
def test_rows_are_packed_once_where_the_shapes_are_known(targets, monkeypatch):
    first = batches(targets=targets)
    shapes = first.fixed_shapes()
    assert first.with_shapes(shapes) is first
    again = batches(targets=targets, shapes=shapes)
    assert (again.digest(), again.batch_size) == (first.digest(), first.batch_size)
    longer = batches(targets=targets, max_length=48, max_targets=7)
    assert longer.with_shapes(longer.fixed_shapes()).buckets == [48]

    calls = []
    monkeypatch.setattr(packing, "group_rows", lambda *args: calls.append(args) or found)
    found = first.groups
    monkeypatch.setattr(packing, "packed_length", None)  # no length is chosen
    batches(targets=targets, shapes=shapes)
    assert len(calls) == 1


def test_a_block_of_one_token_rows_fits_too():
    shapes = batches().fixed_shapes()
    other = batches([1] * 200, shapes=shapes)
    assert other.row_totals(0)[-1] == 200
    assert other.groups.counts.max() <= shapes.targets["starts"][-1]


def test_the_digest_tells_other_groups_and_other_rows():
    assert batches(seed=1).digest() == batches(seed=1).digest()
    assert batches(seed=1).digest() != batches(seed=2).digest()
    changed = batches(seed=1)
    assert changed.digest() != batches([*LENGTHS[:-1], 4], seed=1).digest()
