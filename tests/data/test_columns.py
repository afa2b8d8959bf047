"""Columns by the user's word, by a known name, or as the only ones they can be."""

import pytest

from stages.core.errors import InputError
from stages.data.columns import (
    Role,
    choose_columns,
    holds_lists,
    holds_text,
    listed_columns,
    say_columns,
)
from stages.data.tables import Table

A = Role("a", "a_column_name", ("tokens", "words", "pieces"), holds_text)
B = Role("b", "b_column_name", ("tags",))


def choose(row, *given):
    """The columns of roles A and B of one row, or of columns that all hold `x`."""
    if not isinstance(row, dict):
        row = dict.fromkeys(row, "x")
    names = {role.flag: name for role, name in zip((A, B), given, strict=False)}
    return list(choose_columns(Table("f.json", list(row), [row]), [A, B], names).values())


@pytest.mark.parametrize(
    ("row", "given", "expected"),
    [
        (["tags", "id", "tokens"], (), ["tokens", "tags"]),
        (["x", "tokens", "y"], ("x", "tokens"), ["x", "tokens"]),
        # The first known name wins.
        (["pieces", "words", "tokens", "tags"], (), ["tokens", "tags"]),
        (["more", "words", "tags"], (), ["words", "tags"]),
        # One is known, and one is left for the other.
        (["tags", "anything"], (), ["anything", "tags"]),
        (["x", "tokens"], (), ["tokens", "x"]),
        (["x", "tags"], ("tags",), ["tags", "x"]),
        # None is known, and one holds no text.
        ({"id": "n7", "review": "good", "stars": "5"}, (), ["review", "stars"]),
        ({"stars": 5, "review": "good"}, (), ["review", "stars"]),
    ],
)
def test_chosen(row, given, expected):
    assert choose(row, *given) == expected


@pytest.mark.parametrize(
    ("row", "given", "message"),
    [
        (["x", "y"], ("z",), r"f.json: no column 'z' \(--a_column_name\); there are 'x', 'y'"),
        (["x", "y"], ("x", "x"), "--b_column_name names 'x', which another flag has taken"),
        (["x"], (), "no column is left for --b_column_name; there are 'x'; give --a_column_name"),
        (["x", "y"], (), "which column is a and which b\\? there are 'x', 'y'; give --a_column_"
         "name and --b_column_name$"),
        (["words", "pieces", "tags"], (), "which column is a\\? .* give --a_column_name$"),
        (["words", "u", "v"], (), "which column is b\\? there are 'words', 'u', 'v'; give --b_col"),
        ({"u": "1", "v": 2}, (), "no column is left for --a_column_name; there are 'u', 'v'"),
    ],
)  # fmt: skip
def test_refused(row, given, message):
    with pytest.raises(InputError, match=message):
        choose(row, *given)


def test_what_values_can_be():
    assert holds_text(["7", "7 apples"])
    assert not holds_text(["7", " ", "1e3", "nan", 4, None, ["x"]])
    assert holds_lists([None, ["x"]])
    assert not holds_lists(["x"])


def test_columns_that_are_not_needed():
    def chosen(*columns, **given):
        table = Table("f", list(columns), [dict.fromkeys(columns, "x")])
        return choose_columns(table, [A, B], given, optional=(B,))

    assert chosen("x", "y", a_column_name="x") == {"a": "x"}  # though one is left
    assert chosen("x", "tags") == {"a": "x", "b": "tags"}
    assert chosen("x", "y", b_column_name="y") == {"a": "x", "b": "y"}
    with pytest.raises(InputError, match=r"no column 'z' \(--b_column_name\)"):
        chosen("x", b_column_name="z")


SOURCE = {"a_column_name": "phrase", "b_column_name": "kinds"}


@pytest.mark.parametrize(
    ("columns", "given", "expected"),
    [
        # The names of the source, or those of the standard form, which are the roles'.
        (["u", "phrase", "kinds"], {}, {"a": "phrase", "b": "kinds"}),
        (["u", "a", "b"], {}, {"a": "a", "b": "b"}),
        (["u", "words", "b"], {"a_column_name": "words"}, {"a": "words", "b": "b"}),
        # Only the names of one of them are all there.
        (["phrase", "kinds", "b"], {}, {"a": "phrase", "b": "kinds"}),
        (["phrase", "a", "b"], {}, {"a": "a", "b": "b"}),
        # B is not needed here; the names are all of one kind.
        (["u", "phrase"], {}, {"a": "phrase"}),
        (["u", "a", "kinds"], {}, {"a": "a"}),
        # Neither is there: as without them.
        (["words", "tags"], {}, {"a": "words", "b": "tags"}),
    ],
)
def test_names_of_the_source(columns, given, expected):
    table = Table("f", columns, [dict.fromkeys(columns, "x")])
    options = {"optional": () if B.name in expected else (B,), "source_columns": SOURCE}
    assert choose_columns(table, [A, B], given, **options) == expected


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        (["a", "phrase", "kinds", "b"], {}, "which column is a\\? there are 'a' and 'phrase', as "
         "the source of the training data has it; give --a_column_name$"),
        (["words", "phrase", "b", "kinds"], {"a_column_name": "words"}, "'words' and 'phrase'"),
        (["phrase", "b"], {"a_column_name": "words"}, "no column 'words'"),
        (["u", "phrase"], {}, "which column is a and which b"),
    ],
)  # fmt: skip
def test_names_of_the_source_that_are_refused(columns, given, message):
    table = Table("f", columns, [dict.fromkeys(columns, "x")])
    with pytest.raises(InputError, match=message):
        choose_columns(table, [A, B], given, source_columns=SOURCE)


def test_what_is_said(capsys):
    columns = {"sentence1": "review", "label": "stars"}
    assert listed_columns(columns) == "sentence1 = review, label = stars"
    say_columns("a.csv", columns)
    say_columns("a.txt", {})
    assert capsys.readouterr().out == "columns of a.csv: sentence1 = review, label = stars\n"
