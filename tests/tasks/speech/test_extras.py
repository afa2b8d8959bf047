"""Columns beside audio and transcript: one type for all rows."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow
import pytest

from stages.core.errors import InputError
from stages.data.tables import Table
from stages.tasks.speech import extras
from stages.tasks.speech.extras import extra_types

ZONE = timezone(timedelta(hours=2))
HELD = [
    [None, None],
    [1, None, 2**40],
    [1, 2.5, 3],
    [2**63, 1],
    ["a", None],
    [True, None, False],
    [[1], [], [2.5, 1]],
    [{"a": 1}, {"b": "x"}, {"a": 2.5}],
    [{"b": [1]}, {"a": None}, {"b": [None, 2.5]}],
    [Decimal("1.5"), Decimal("1234.56"), Decimal("1E+5")],
    [datetime(2020, 1, 1, tzinfo=ZONE), datetime(2020, 1, 1, tzinfo=UTC)],
]
REFUSED = [
    [1, "a"],
    ["a", b"\xff", 1],
    [2**53 + 1, 2.5],
    [2**63, -1],
    [2**64],
    [{}],
    [[1, "a"]],
    [{"a": 1}, {"a": "x"}],
    ["a", "\ud83d"],
    ["\ud83d" + "a" * 5],
]


def table(values):
    return Table("a.csv", ["audio", "x"], [{"audio": "0.wav", "x": value} for value in values])


@pytest.mark.parametrize("values", HELD, ids=str)
@pytest.mark.parametrize("chunk", [1, 1000])
def test_the_type_is_that_of_all_values(values, chunk, monkeypatch):
    monkeypatch.setattr(extras, "_CHUNK", chunk)
    if 2**63 in values:
        expected = pyarrow.uint64()
    else:
        expected = pyarrow.array(values).type
    for rows in (values, [value for value in values for _ in range(3)]):
        assert extra_types(table(rows), ("audio",)) == {"x": expected}


@pytest.mark.parametrize("values", REFUSED, ids=ascii)
@pytest.mark.parametrize("before", [0, 1500])
def test_what_no_type_holds(values, before):
    with pytest.raises(InputError, match=r"a.csv: the values of 'x' are of several"):
        extra_types(table([None] * before + values), ("audio",))


def test_a_value_without_end():
    value = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(InputError, match="'x' are of several types"):
        extra_types(table([value]), ("audio",))
