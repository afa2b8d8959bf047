"""Batches: lengths, order, padding rows, and prefetching."""

import itertools
import threading
import time

import numpy as np
import pytest

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.prefetch import prefetch
from stages.data.shapes import bucket_lengths


def waste(lengths, buckets):
    return sum(min(b for b in buckets if b >= length) - length for length in lengths)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("seed", range(6))
def test_bucket_lengths_waste_the_fewest_tokens(seed, count):
    lengths = np.random.default_rng(seed).integers(1, 60, 25)
    found = bucket_lengths(lengths, count)
    sizes = sorted({-(-int(length) // 8) * 8 for length in lengths})
    best = min(
        waste(lengths, [*some, sizes[-1]])
        for number in range(count)
        for some in itertools.combinations(sizes[:-1], number)
    )
    assert waste(lengths, found) == best
    assert len(found) <= count
    assert found == sorted(set(found))
    assert all(size % 8 == 0 for size in found)


def test_bucket_lengths_by_hand():
    lengths = np.array([3, 5, 8, 9, 30, 31])
    assert bucket_lengths(lengths, 1) == [32]
    assert bucket_lengths(lengths, 2) == [8, 32]  # 120 tokens; [16, 32] makes 128
    assert bucket_lengths(lengths, 3) == [8, 16, 32]
    assert bucket_lengths(lengths, 64) == [8, 16, 32]
    assert bucket_lengths(lengths, 3, full=50) == [50]
    assert bucket_lengths(np.array([0, 7]), 4) == [8]


def make(count=23, size=4, buckets=3, **options):
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 9, length) for length in rng.integers(1, 40, count)]
    columns = {
        "input_ids": ids,
        "labels": [-np.ones(len(row), int) * number for number, row in enumerate(ids)],
        "number": list(range(count)),
        "score": [float(number) / 2 for number in range(count)],
    }
    padding = {"input_ids": 7, "labels": IGNORE_INDEX, "number": -9}
    return Batches(columns, padding=padding, batch_size=size, buckets=buckets, **options)


@pytest.mark.parametrize("size", [1, 4, 15, 23, 50])
@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_every_row_once_and_few_shapes(kind, size):
    batches = make(size=size)
    found = list(batches.evaluation() if kind == "evaluation" else batches.training(0))
    rows = np.concatenate([batch.indices for batch in found])
    assert sorted(rows[rows >= 0]) == list(range(23))
    assert len(found) == len(batches) == -(-23 // size)
    # Only the last batch has padding rows.
    assert all((batch.indices >= 0).all() for batch in found[:-1])
    shapes = {batch.arrays["input_ids"].shape for batch in found}
    # Evaluation has no padding rows where the same number of smaller batches holds all rows.
    rows = size if kind == "training" else {1: 1, 4: 4, 23: 23, 50: 23, 15: 12}[size]
    assert shapes <= {(rows, length) for length in batches.buckets}


def test_batches_of_an_evaluation_are_shared_by_the_devices():
    found = list(make(size=16, devices=4).evaluation())
    assert [batch.indices.shape for batch in found] == [(12,), (12,)]
    assert sum((batch.indices >= 0).sum() for batch in found) == 23


def test_padding_and_filling():
    batches = Batches(
        {
            "input_ids": [[1, 2, 3], [4], [5, 6]],
            "labels": [[1, 1, 0], [1], [0, 1]],
            "number": [np.int32(5), np.int32(6), np.int32(7)],
            "score": [0.5, 1.5, 2.5],
        },
        padding={"input_ids": 9, "labels": IGNORE_INDEX, "number": -1},
        batch_size=2,
        buckets=1,
        max_length=3,
    )
    first, last = batches.evaluation()
    assert first.indices.tolist() == [1, 2]
    assert first.arrays["input_ids"].tolist() == [[4, 9, 9], [5, 6, 9]]
    assert first.arrays["labels"].tolist() == [[1, -100, -100], [0, 1, -100]]
    assert first.arrays["number"].tolist() == [6, 7]
    assert first.arrays["row_mask"].tolist() == [1.0, 1.0]
    assert last.indices.tolist() == [0, -1]
    assert last.arrays["input_ids"].tolist() == [[1, 2, 3], [9, 9, 9]]
    assert last.arrays["labels"].tolist() == [[1, 1, 0], [-100, -100, -100]]
    assert last.arrays["number"].tolist() == [5, -1]
    assert last.arrays["score"].tolist() == [0.5, 0.0]
    assert last.arrays["row_mask"].tolist() == [1.0, 0.0]
    kinds = {name: array.dtype for name, array in last.arrays.items()}
    assert kinds == {
        "input_ids": np.int32,
        "labels": np.int32,
        "number": np.int32,
        "score": np.float32,
        "row_mask": np.float32,
    }


def test_max_length_caps_the_longest_bucket_alone():
    rows = {"input_ids": [[1] * 13, [1] * 4]}
    capped = Batches(rows, padding={}, batch_size=1, buckets=2, max_length=13)
    assert capped.buckets == [8, 13]
    full = Batches(rows, padding={}, batch_size=1, buckets=2, full_length=13, max_length=13)
    assert [batch.arrays["input_ids"].shape for batch in full.evaluation()] == [(1, 13), (1, 13)]


def test_targets_have_lengths_of_their_own():
    """The target length of a bucket is the longest in it or in a shorter one, as rows move up."""
    sources, targets = [3, 8, 9, 15, 20], [9, 2, 4, 5, 21]
    batches = Batches(
        {"input_ids": [[1] * size for size in sources], "labels": [[2] * size for size in targets]},
        padding={"labels": IGNORE_INDEX},
        batch_size=2,
        buckets=3,
        targets=["labels"],
    )
    assert batches.buckets == [8, 16, 24]
    # 9 is rounded up to 16; the longest of all, 21, is not: a model may have no more positions.
    shapes = {"input_ids": [(2, 8), (2, 16), (2, 24)], "labels": [(2, 16), (2, 16), (2, 21)]}
    found = list(batches.evaluation())
    assert {name: [it.arrays[name].shape for it in found] for name in shapes} == shapes
    assert found[0].arrays["labels"].tolist() == [
        [2] * 9 + [IGNORE_INDEX] * 7,
        [2] * 2 + [IGNORE_INDEX] * 14,
    ]
    for epoch in range(3):
        for batch in batches.training(epoch):
            rows = batch.indices[batch.indices >= 0]
            filled = (batch.arrays["labels"] != IGNORE_INDEX).sum(axis=1)[: len(rows)]
            assert filled.tolist() == [targets[row] for row in rows]
            assert batch.arrays["labels"].shape[1] in (16, 21)


def test_short_and_empty_targets():
    rows = {"input_ids": [[1], [1] * 9], "labels": [[], [3]]}
    batches = Batches(rows, padding={}, batch_size=1, buckets=2, targets=["labels"])
    assert [it.arrays["labels"].tolist() for it in batches.evaluation()] == [[[0]], [[3]]]


def test_stacked_columns_and_buckets_by_another_column():
    """Features of one shape, as of audio, with labels that determine the bucket."""
    features = [np.full((2, 3), number, np.float32) for number in (1, 2, 3)]
    batches = Batches(
        {"input_features": features, "labels": [[5] * 12, [6], [7] * 2]},
        padding={"labels": IGNORE_INDEX, "input_features": -1},
        batch_size=2,
        buckets=2,
        by="labels",
    )
    assert batches.buckets == [8, 16]
    assert len(batches) == 2
    short, long = batches.evaluation()
    assert short.indices.tolist() == [1, 2]
    assert short.arrays["labels"].shape == (2, 8)
    np.testing.assert_array_equal(short.arrays["input_features"], np.stack(features[1:]))
    assert long.arrays["labels"].shape == (2, 16)
    np.testing.assert_array_equal(
        long.arrays["input_features"], np.stack([features[0], np.full((2, 3), -1)])
    )
    assert long.arrays["input_features"].dtype == np.float32
    assert long.arrays["row_mask"].tolist() == [1, 0]


def order(batches, epoch):
    return [batch.indices.tolist() for batch in batches.training(epoch)]


def test_the_order_is_that_of_seed_and_epoch():
    assert order(make(seed=1), 0) == order(make(seed=1), 0)
    assert order(make(seed=1), 0) != order(make(seed=1), 1)
    assert order(make(seed=1), 0) != order(make(seed=2), 0)
    # Every bucket's rows are drawn from the whole of it, not in the file's order.
    rows = [row for batch in order(make(seed=1, buckets=1), 0) for row in batch if row >= 0]
    assert rows != sorted(rows)


def test_with_batch_size_gives_the_batches_of_that_size():
    small = make(size=2, seed=1)
    assert order(small.with_batch_size(8), 1) == order(make(size=8, seed=1), 1)
    assert len(small.with_batch_size(8)) == 3
    assert (len(small), small.batch_size) == (12, 2)


def test_without_shuffling_rows_keep_their_order():
    batches = make(seed=1, buckets=1, shuffle=False)
    assert order(batches, 0) == order(batches, 1) == order(make(buckets=1, shuffle=False), 0)
    rows = [row for batch in order(batches, 0) for row in batch if row >= 0]
    assert rows == list(range(len(batches.lengths)))
    # With several buckets each keeps the order of its own.
    several = make(shuffle=False)
    seen = [row for batch in order(several, 0)[:-1] for row in batch]
    for bucket in range(len(several.buckets)):
        own = [row for row in seen if several.bucket_of[row] == bucket]
        assert own == sorted(own)


def test_evaluation_goes_from_short_to_long():
    batches = make()
    rows = np.concatenate([batch.indices for batch in batches.evaluation()])
    lengths = batches.lengths[rows[rows >= 0]]
    assert (np.diff(lengths) >= 0).all()


def test_ahead_keeps_the_order_and_prepares_in_a_thread():
    threads = set()

    def prepare(item):
        threads.add(threading.current_thread())
        return item * 2

    assert list(prefetch(iter(range(20)), prepare)) == list(range(0, 40, 2))
    assert threading.current_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("where", ["items", "prepare"])
def test_ahead_carries_an_exception_after_what_came_before(where):
    def items():
        yield 1
        yield 2
        if where == "items":
            raise KeyError("three")
        yield 3

    def prepare(item):
        if item == 3:
            raise KeyError("three")
        return item

    source = prefetch(items(), prepare)
    assert [next(source), next(source)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(source)


def test_ahead_stays_within_its_depth_and_stops_when_left():
    made = []
    before = set(threading.enumerate())

    def items():
        for number in itertools.count():
            made.append(number)
            yield number

    source = prefetch(items(), depth=3)
    assert next(source) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5  # one given out, three waiting, one in hand
    source.close()
    assert set(threading.enumerate()) <= before
    assert len(made) <= 6
