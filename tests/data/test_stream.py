"""Batches of a stream: their order, shapes and places, and a run that goes on where it was."""

import itertools
import json
import random
import threading

import jax
import numpy as np
import pytest
from flax import nnx
from support import table_model, toy_shards

from stages.core.errors import EmptyInputError, InputError
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.find_shards import find_shards
from stages.data.stream import RowStream, StreamBatches
from stages.training.loop import fit, training_batches
from stages.training.resume import ResumeStore

COUNT, BLOCK, SIZE = 50, 12, 4


def make(table, *, long=8, **options) -> Batches:
    """Batches of rows that hold their own number as often as they have tokens."""
    ids = [row["ids"] for row in table.rows]
    labels = [row["labels"] for row in table.rows]
    if not ids or table.rows[0]["ids"] == [999]:
        raise EmptyInputError("nothing")
    columns = {"input_ids": ids, "labels": labels, "attention_mask": [[1] * len(i) for i in ids]}
    return Batches(
        columns, padding={"labels": IGNORE_INDEX}, batch_size=SIZE, buckets=2, max_length=40,
        seed=3, **options,
    )  # fmt: skip


def rows(count=COUNT, length=lambda number: 1 + number * 7 % 20):
    for number in range(count):
        ids = [number % 5] * length(number)
        yield {"ids": ids, "labels": [(number + place) % 3 for place in range(len(ids))]}


def batches_of(folder, block=BLOCK, **options) -> StreamBatches:
    stream = RowStream(find_shards(str(folder), "train_file"), block)
    return StreamBatches(
        stream,
        lambda table, shapes: make(table, shapes=shapes, **options),
        make(stream.first, **options),
    )


@pytest.fixture(params=[".jsonl", ".parquet"])
def folder(tmp_path, request):
    """Shards of 17, 17 and 16 rows."""
    return toy_shards.write_shards(tmp_path / "shards", rows(), 17, request.param)


def taken(batches, count, done=0, position=None) -> list:
    return [
        {name: array.tolist() for name, array in batch.arrays.items()}
        for batch in training_batches(batches, count, done, position)
    ]


def test_blocks_are_all_rows_in_order_pass_after_pass(folder):
    stream = RowStream(find_shards(str(folder), "train_file"), BLOCK)
    blocks = list(itertools.islice(stream.blocks(), 10))
    assert [len(block.table) for block in blocks] == [12, 12, 12, 12, 2] * 2
    assert [block.number for block in blocks] == list(range(10))
    found = [row for block in blocks for row in block.table.rows]
    assert found == [*rows(), *rows()]
    word = "row" if "parquet" in str(blocks[1].table.places) else "line"
    assert blocks[1].table.where(5).endswith(f"shards/{blocks[1].table.places[5].split('/')[-1]}")
    assert blocks[1].table.where(5).endswith(f"{word} 1")
    for block in blocks:
        again = next(stream.blocks(block.number, block.position))
        assert again == block


def test_a_pass_has_each_row_once_in_a_drawn_order(folder):
    batches = batches_of(folder)
    # 3 batches of each block of 12 and one of the last two rows.
    first, second = taken(batches, 13), taken(batches, 26)[13:]
    for one in (first, second):
        found = [
            (ids[0], sum(mask))
            for batch in one
            for ids, mask, real in zip(
                batch["input_ids"], batch["attention_mask"], batch["row_mask"], strict=True
            )
            if real
        ]
        assert sorted(found) == sorted((row["ids"][0], len(row["ids"])) for row in rows())
    assert first != second
    assert first == taken(batches_of(folder), 13)
    # In the stream's order: the first four rows that are short.
    kept = taken(batches_of(folder, shuffle=False), 1)
    assert [sum(mask) for mask in kept[0]["attention_mask"]] == [1, 8, 2, 3]


@pytest.mark.parametrize("block", [1, 5, BLOCK, 17, 50, 1000])
def test_from_any_batch_on_the_rest_is_the_same(folder, block):
    batches = batches_of(folder, block)
    whole = taken(batches, 60)
    running = batches.endless()
    for done in range(1, 60):
        next(running)
        position = json.loads(json.dumps(batches.position(done)))
        rows_seen = batches.rows_seen(done)
        if done % 7 == 1 or block == BLOCK:
            again = batches_of(folder, block)
            assert taken(again, 60, done, position) == whole[done:]
            started = again.endless(done, position)
            next(started)
            assert again.rows_seen(done) == rows_seen
            started.close()
    running.close()
    # Without the position the same, from the start.
    assert taken(batches_of(folder, block), 60, 31) == whole[31:]


def test_rows_seen(folder):
    batches = batches_of(folder)
    running = batches.endless()
    seen = []
    for done in range(1, 20):
        next(running)
        seen.append(batches.rows_seen(done))
    running.close()
    assert seen == [*range(4, 49, 4), 50, *range(54, 75, 4)]


def test_larger_batches_of_the_same_stream(folder):
    batches = batches_of(folder).with_batch_size(8)
    whole = taken(batches, 20)
    assert {len(batch["row_mask"]) for batch in whole} == {8}
    running = batches.endless()
    for _ in range(6):
        next(running)
    assert taken(batches_of(folder).with_batch_size(8), 20, 6, batches.position(6)) == whole[6:]
    running.close()


def test_shapes_do_not_grow_with_blocks(tmp_path):
    # Rows become longer from block to block, up to the longest there may be.
    folder = toy_shards.write_shards(
        tmp_path / "x", rows(400, lambda number: min(40, 1 + number // 9)), 90
    )
    batches = batches_of(folder)
    shapes = {
        np.shape(batch.arrays["input_ids"]) for batch in training_batches(batches, 3 * 400 // SIZE)
    }
    assert shapes == {(4, 8), (4, 40)}


def test_targets_have_the_shapes_of_the_first_block_too():
    def made(lengths, targets, **options):
        columns = {"input_ids": [[1] * n for n in lengths], "labels": [[2] * n for n in targets]}
        return Batches(
            columns, padding={}, batch_size=1, buckets=2, targets=["labels"], max_targets=20,
            max_length=30, **options,
        )  # fmt: skip

    first = made([3, 3, 17], [1, 2, 9])
    shapes = first.fixed_shapes()
    assert shapes.lengths == [8, 24, 30]
    assert shapes.targets["labels"].tolist() == [8, 9, 20]
    other = made([3, 3, 20, 30], [2, 9, 10, 20], shapes=shapes)
    assert other.bucket_of.tolist() == [0, 1, 2, 2]
    for batch in other.training(0):
        kind = batch.arrays["input_ids"].shape[1], batch.arrays["labels"].shape[1]
        assert kind in {(8, 8), (24, 9), (30, 20)}
    # As long as can be already: no further shape.
    full = made([30], [20]).fixed_shapes()
    assert (full.lengths, full.targets["labels"].tolist()) == ([30], [20])


def test_a_block_of_nothing_is_left_out(tmp_path):
    found = list(rows(30))
    found[12:24] = [{"ids": [999], "labels": [0]}] * 12
    folder = toy_shards.write_shards(tmp_path / "x", found, 10)
    batches = batches_of(folder)
    # Blocks of 12, none and 6 rows.
    assert taken(batches, 10)[5:] != []
    running = batches.endless()
    for _ in range(6):
        next(running)
    assert batches.rows_seen(6) == 22
    running.close()


def test_a_row_that_is_wrong_ends_the_run_when_it_is_due(tmp_path):
    folder = toy_shards.write_shards(tmp_path / "x", rows(30), 10)
    path = folder / "part-002.jsonl"
    lines = path.read_text().splitlines()
    lines[7] = "{"
    path.write_text("\n".join(lines))
    batches, seen = batches_of(folder), []
    with pytest.raises(InputError, match=r"part-002.jsonl, line 8: not JSON"):
        seen.extend(training_batches(batches, 99))
    assert len(seen) == 6
    assert threading.active_count() < 10
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jsonl").write_text("\n")
    with pytest.raises(InputError, match="empty: no rows"):
        RowStream(find_shards(str(tmp_path / "empty"), "train_file"), 5)


def test_columns_are_those_of_the_first_block(tmp_path):
    found = [{"a": 1, "b": 2}] * 3 + [{"c": 1, "a": 2}] * 3
    folder = toy_shards.write_shards(tmp_path / "x", found, 10)
    stream = RowStream(find_shards(str(folder), "train_file"), 3)
    (_, second) = itertools.islice(stream.blocks(), 2)
    assert second.table.columns == ["a", "b"]
    with pytest.raises(InputError, match=r"part-000.jsonl, line 4: no 'b'"):
        second.table.column("b")


class Cut(Exception):
    """Stands for whatever ends a process."""


def train(out, folder, cuts, steps=45, **values):
    """One process's part of a training of a stream: parameters and results."""
    args = table_model.arguments(
        out, streaming=True, max_steps=steps, learning_rate=0.1, logging_steps=3, seed=4,
        save_steps=1, shuffle_buffer_size=BLOCK, **values,
    )  # fmt: skip
    model = table_model.Table(rate=0.3)
    store = ResumeStore(out / "checkpoints", {"arguments": values}, 0.0)
    at: list[int] = []

    def save():
        at.append(at[-1] + 1 if at else (store.written or 0) + 1)
        if at[-1] in cuts:
            cuts.remove(at[-1])
            raise Cut

    try:
        found = fit(model, table_model.loss, batches_of(folder), args, save=save, resume=store)
    finally:
        store.wait()
    store.clear()
    curve = (out / "runs" / "train.csv").read_bytes()
    values = [np.asarray(array).tobytes() for array in jax.tree.leaves(nnx.state(model))]
    return values, found, curve


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        pytest.param(".jsonl", 1, marks=pytest.mark.slow(seconds=10)),
        pytest.param(".parquet", 2, marks=pytest.mark.slow(seconds=10)),
    ],
)
def test_a_run_cut_off_at_ten_steps_ends_with_the_same_bytes(tmp_path, monkeypatch, kind, parts):
    folder = toy_shards.write_shards(tmp_path / "shards", rows(), 17, kind)
    monkeypatch.setattr(ResumeStore, "due", lambda self: True)
    values = {"gradient_accumulation_steps": parts}
    whole = train(tmp_path / "whole", folder, [], **values)
    assert whole[1].results["train_samples"] > 3 * COUNT
    # A block's first and last batch, the last one of a pass, a shard's end within; and any others.
    cuts = sorted({3, 4, 5, 12, 13, 14, *random.Random(7).sample(range(15, 44), 4)})
    for _ in range(len(cuts)):
        with pytest.raises(Cut):
            train(tmp_path / "cut", folder, cuts, **values)
    assert not cuts
    assert train(tmp_path / "cut", folder, cuts, **values) == whole


def test_a_shard_that_changed_starts_the_run_anew(tmp_path, monkeypatch, capsys):
    folder = toy_shards.write_shards(tmp_path / "shards", rows(), 17)
    monkeypatch.setattr(ResumeStore, "due", lambda self: True)
    with pytest.raises(Cut):
        train(tmp_path / "cut", folder, [9])
    (shard, *_) = sorted(folder.iterdir())[2:]
    shard.write_bytes(shard.read_bytes())  # of another time
    shard.touch()
    train(tmp_path / "cut", folder, [])
    out = capsys.readouterr().out
    assert "of a run with other rows; not used" in out
    assert "resuming" not in out


def test_programs_do_not_grow_with_blocks(tmp_path):
    folder = toy_shards.write_shards(tmp_path / "shards", rows(), 17)
    train(tmp_path, folder, [], steps=60)
    times = json.loads((tmp_path / "runs" / "times.json").read_text())
    assert times["compilations"] <= 3
