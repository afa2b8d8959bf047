"""Rows that are held out: by a seed, and never apart from those that they share a text with."""

import pytest

from stages.core.errors import InputError
from stages.pipeline.new_profile.split import groups_of, hold_out


def test_groups():
    shared = [("a", "b"), ("c",), ("b", "d"), ("e",), ("d",), ("c", "f")]
    assert groups_of(shared) == [[0, 2, 4], [1, 5], [3]]


def test_a_tenth_for_each_split():
    # Ten texts come twice, and stay together.
    shared = [(f"text {number % 90}",) for number in range(100)]
    found = hold_out(shared, ["validation", "test"], 1)
    assert list(map(len, found.values()))[:2] in ([10, 10], [10, 11], [11, 10], [11, 11])
    assert sorted(row for rows in found.values() for row in rows) == list(range(100))
    texts = [{shared[row] for row in rows} for rows in found.values()]
    assert not texts[0] & texts[1]
    assert not texts[2] & (texts[0] | texts[1])
    assert all(rows == sorted(rows) for rows in found.values())
    assert hold_out(shared, ["validation", "test"], 1) == found
    assert hold_out(shared, ["validation", "test"], 2) != found
    assert list(hold_out(shared, ["test"], 1)) == ["test", "train"]


def test_a_large_group_is_trained_on():
    shared = [("all",)] * 60 + [(number,) for number in range(40)]
    assert set(range(60)) <= set(hold_out(shared, ["validation", "test"], 3)["train"])


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ([("a",)] * 100, "100 rows with 1 different texts are too few to hold some out; give a fi"),
        ([(number,) for number in range(4)], "a file for validation and test"),
        ([(number % 5,) for number in range(30)][:5] * 2, None),
    ],
)
def test_refused(shared, message):
    if message is None:
        assert len(hold_out(shared, ["validation", "test"], 1)["train"]) >= 5
        return
    with pytest.raises(InputError, match=message):
        hold_out(shared, ["validation", "test"], 1)
