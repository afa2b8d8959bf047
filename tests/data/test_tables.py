"""Reading CSV, JSON and text: what is read, and what each refusal says."""

import math

import pytest

from stages.core.errors import InputError
from stages.data.tables import Table, choose_columns, read_csv, read_json, read_table
from stages.data.text import read_text


@pytest.fixture
def write(tmp_path):
    def writer(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer


def test_text_keeps_unicode_separators_and_drops_the_mark(write):
    path = write("a.txt", b"\xef\xbb\xbfone\r\ntwo\xe2\x80\xa8half\rthree\n")
    assert read_text(path) == ["one", "two\u2028half", "three"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n \n", "the file is empty"),
        (b"good\nb\xe9d\n", r"a.txt, line 2, byte 6: not UTF-8"),
        (b"\xef\xbb\xbfgood\nb\xe9d\n", r"a.txt, line 2, byte 9: not UTF-8"),
        (b"good\r\nb\0d\n", r"a.txt, line 2, byte 7: a NUL byte"),
    ],
)
def test_text_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_text(write("a.txt", content))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"gone.txt: no such file"):
        read_text(tmp_path / "gone.txt")


def test_csv_lines_follow_quoted_line_ends(write):
    table = read_csv(write("a.csv", 'x,y\n"one\ntwo",1\n\n"say ""hi""",2\n'))
    assert table.columns == ["x", "y"]
    assert table.rows == [{"x": "one\ntwo", "y": "1"}, {"x": 'say "hi"', "y": "2"}]
    assert table.line_numbers == [2, 5]
    assert table.where(1).endswith("a.csv, line 5")
    assert table.column("y") == ["1", "2"]
    assert table.first(1).rows == table.rows[:1]
    assert table.first(None) is table


def test_tsv_quotes_are_text(write):
    table = read_table(write("a.tsv", 'x\ty\n" open\t1\n'))
    assert table.rows == [{"x": '" open', "y": "1"}]


def test_csv_cell_longer_than_the_modules_limit(write):
    long = "word " * 40_000
    assert read_csv(write("a.csv", f"x,y\n{long},1\n")).rows[0]["x"] == long


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n1,2,3\n", r"a.csv, line 3: 3 cells, but the header names 2 \(x, y\)"),
        ("x,y\n1\n", r"a.csv, line 2: 1 cells"),
        ("x,y\n", "no row below the header"),
        ("x,x\n1,2\n", "line 1: the header names 'x' twice"),
        ("x,\n1,2\n", "line 1: a column of the header has no name"),
        ('x,y\n1,"2\n', r"a.csv, line 2: not CSV"),
        ("x;y\n1;2\n", r"separate the cells by ',' instead of ';'"),
        ("", "the file is empty"),
        (b"x,y\n1,\xff\n", "line 2, byte 6: not UTF-8"),
        (b"x,y\n1,\0\n", "line 2, byte 6: a NUL byte"),
    ],
)
def test_csv_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_csv(write("a.csv", content))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('{"a": 1}\n\n{"a": 2, "b": [3]}\n', [1, 3]),
        ('[\n {"a": 1},\n {"a": 2,\n "b": [3]}\n]\n', [2, 3]),
        ('{"version": {"x": []},\n "data": [{"a": 1},\n\n{"a": 2, "b": [3]}], "z": 0}', [2, 4]),
        ('[{"a": 1}, {"a": 2, "b": [3]}]', [1, 1]),
    ],
)
def test_json_forms(write, content, lines):
    table = read_json(write("a.json", content))
    assert table.rows == [{"a": 1}, {"a": 2, "b": [3]}]
    assert table.columns == ["a", "b"]
    assert table.line_numbers == lines
    with pytest.raises(InputError, match=f"a.json, line {lines[0]}: no 'b'"):
        table.column("b")
    with pytest.raises(InputError, match="no column 'c'; there are 'a', 'b'"):
        table.column("c")


def test_json_single_objects(write):
    assert read_json(write("a.json", '{"a": 1}\n')).rows == [{"a": 1}]
    assert read_json(write("b.json", '{"data": [\n{"a": 1}\n]}\n')).rows == [{"a": 1}]
    rows = read_json(write("c.jsonl", '{"data": [1]}\n{"data": [2]}\n')).rows
    assert rows == [{"data": [1]}, {"data": [2]}]


def test_json_nan(write):
    assert math.isnan(read_json(write("a.json", '{"a": NaN}\n')).rows[0]["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": }\n', "a.json, line 2: not JSON"),
        ('{"a": \n{"a": 1}\n', "a.json, line 1: not JSON"),
        ('{"a": 1} x\n{"a": 1}\n', r"a.json, line 1: not JSON \(Extra data"),
        ('[{"a": 1},\n{"a" 2}]', "a.json, line 2: not JSON"),
        ('{"data": [{"a": 1},\n\n{"a": 2]}', "a.json, line 3: not JSON"),
        ('[{"a": 1}]\n]', "a.json, line 2: not JSON"),
        ('{"a": 1}\n[2]\n', r"a.json, line 2: expected an object"),
        ('[{"a": 1},\n2]', r"a.json, line 2: expected an object"),
        ("[]", "a.json: no rows"),
        ('{"data": []}', "a.json: no rows"),
        ('"text"', "a.json: expected rows"),
        ("[" * 100_000, "a.json, line 1: cannot be read as JSON"),
    ],
)
def test_json_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_json(write("a.json", content))


def test_table_of_unknown_kind(write):
    with pytest.raises(InputError, match=r"a.parquet: unknown kind of file; expected .csv"):
        read_table(write("a.parquet", "x"))


def _choose(columns, *given):
    table = Table("f.json", columns, [])
    names = {f"{role}_column_name": name for role, name in zip("ab", given, strict=True)}
    return list(choose_columns(table, names, ("tokens", "tags")).values())


def test_choose_columns():
    assert _choose(["tags", "id", "tokens"], None, None) == ["tokens", "tags"]
    assert _choose(["words", "ner"], None, None) == ["words", "ner"]
    assert _choose(["tags", "words"], None, None) == ["words", "tags"]
    assert _choose(["x", "tokens"], None, None) == ["tokens", "x"]
    assert _choose(["x", "tokens", "y"], "x", "tokens") == ["x", "tokens"]
    assert _choose(["x", "tags"], "tags", None) == ["tags", "x"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("z", None), r"f.json: no column 'z' \(--a_column_name\); there are 'x', 'y'"),
        (("x", "x"), "--b_column_name names 'x', which another flag has taken"),
    ],
)
def test_choose_columns_refused(given, message):
    with pytest.raises(InputError, match=message):
        _choose(["x", "y"], *given)


def test_choose_columns_too_few():
    with pytest.raises(InputError, match="no column is left for --b_column_name; there are 'x'"):
        _choose(["x"], None, None)


def test_place_without_lines():
    assert Table("hub/set", ["x"], [{"x": 1}]).where(0) == "hub/set, row 1"
