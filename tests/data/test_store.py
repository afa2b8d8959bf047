"""Columns on disk: what is written is what is read; rows that come in another order."""

import numpy as np
import pytest

from stages.data import writer
from stages.data.reorder import RowWriter
from stages.data.writer import build_store, ragged_array, text_array

TEXTS = ["a", "", "é\n", "x" * 1000, "last"]
ROWS = [[1, 2, 3], [], [70_000], list(range(100)), [5]]


@pytest.fixture(params=[2**40, 0], ids=["memory", "disk"])
def store(request, monkeypatch):
    """Five rows in chunks of two."""
    monkeypatch.setattr(writer, "IN_MEMORY", request.param)

    def build(writer):
        for part in ([0, 1], [2, 3], [4]):
            writer.write(
                {
                    "text": text_array([TEXTS[row] for row in part]),
                    "ids": ragged_array([ROWS[row] for row in part], np.int32),
                    "number": np.array(part, np.float64) / 2,
                }
            )
        return {"names": ["b", "a"]}

    return build_store(build)


def test_columns(store):
    assert (len(store), store.metadata) == (5, {"names": ["b", "a"]})
    texts, ids = store.column("text"), store.column("ids")
    assert list(texts) == TEXTS == texts[:]
    assert texts[3] == TEXTS[3]
    assert texts[1:4:2] == [TEXTS[1], TEXTS[3]]
    assert [row.tolist() for row in ids] == ROWS == [ids[row].tolist() for row in range(5)]
    assert ids.lengths.tolist() == [3, 0, 1, 100, 1]
    assert store.numbers("number").tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    for column in (texts, ids):
        assert list(column[-1]) == list(column[4])
        for row in (-6, 5):
            with pytest.raises(IndexError):
                column[row]


def test_first_rows(store):
    for limit in range(6):
        ids = store.column("ids", limit)
        assert [row.tolist() for row in ids] == ROWS[:limit]
        assert ids.lengths.tolist() == [len(row) for row in ROWS[:limit]]
        assert store.column("text", limit) == TEXTS[:limit]


def test_equal_to_lists(store):
    assert store.column("text") == TEXTS
    assert store.column("text") != TEXTS[:4]
    assert store.column("text") != [*TEXTS[:4], "other"]
    assert store.column("ids") == ROWS
    assert store.column("ids") != [[9, 2, 3], *ROWS[1:]]
    assert store.column("text") != "text"


def test_the_fingerprint_is_the_content():
    def of(*texts):
        return build_store(lambda writer: writer.write({"text": text_array(texts)})).fingerprint

    assert of("a", "b") == of("a", "b")
    assert len({of("a", "b"), of("ab", ""), of("b", "a"), of("a")}) == 4


@pytest.mark.parametrize("tail", [(), (2,)])
def test_rows_in_another_order(monkeypatch, tail):
    monkeypatch.setattr("stages.data.reorder.CHUNK", 3)
    monkeypatch.setattr("stages.data.reorder.IN_MEMORY", 0)
    draw = np.random.default_rng(0)
    rows = [draw.random((length, *tail), np.float32) for length in (3, 0, 5, 1, 2)]
    writer = RowWriter(5)
    for indices in ([4, 1], [0, 3], [2, -1]):
        writer.add(np.array(indices), [rows[index] for index in indices])
    column = writer.finish()
    assert len(column) == 5
    for row, found in zip(rows, column, strict=True):
        assert found.shape == row.shape
        assert (found == row).all()
    assert [len(row) for row in column[1:3]] == [0, 5]
