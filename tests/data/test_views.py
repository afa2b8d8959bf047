"""Rows that are made or looked up when they are asked for."""

import numpy as np

from stages.data.views import Constant, Mapped, Picked
from stages.data.writer import build_store, ragged_array, text_array


def store_of(texts):
    def build(writer):
        rows = [np.arange(len(text)) for text in texts]
        writer.write({"text": text_array(texts), "ids": ragged_array(rows, np.int32)})

    return build_store(build)


def test_constant_rows():
    rows = Constant(7, np.array([2, 0, 3]))
    assert [row.tolist() for row in rows] == [[7, 7], [], [7, 7, 7]]
    assert rows[0].dtype == np.int32


def test_rows_are_changed_when_they_are_read():
    texts = store_of(["A", "Bc", "D"]).column("text")
    read = []
    lower = Mapped(texts, lambda text: read.append(text) or text.lower(), "lower")
    assert (len(lower), read) == (3, [])
    assert lower[1] == "bc"
    assert read == ["Bc"]
    assert lower == ["a", "bc", "d"]
    assert lower[1:] == ["bc", "d"]
    assert lower.fingerprint == f"{texts.fingerprint} lower"


def test_some_rows():
    store = store_of(["a", "bb", "ccc", "dddd"])
    rows = np.array([3, 1])
    ids = Picked(store.column("ids"), rows)
    assert len(ids) == 2
    assert ids.lengths.tolist() == [4, 2]
    assert [row.tolist() for row in ids] == [[0, 1, 2, 3], [0, 1]]
    assert not ids[0].flags.owndata
    texts = Picked(store.column("text"), rows)
    assert not hasattr(texts, "lengths")
    assert texts == ["dddd", "bb"]
    assert texts[:1] == ["dddd"]
    assert Mapped(texts, str.upper, "upper")[-1:] == ["BB"]


def test_the_fingerprint_holds_rows_and_content():
    found = {
        Picked(store_of(texts).column("text"), np.array(rows)).fingerprint
        for texts in (["a", "b"], ["a", "c"])
        for rows in ([0], [1], [0, 1])
    }
    assert len(found) == 6
