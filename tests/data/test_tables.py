"""Reading CSV, JSON and text: what is read, and what each refusal says."""

import bz2
import gzip
import lzma
import math

import pytest

from stages.core.errors import InputError
from stages.data.tables import (
    Table,
    read_csv,
    read_json,
    read_plain_text,
    read_table,
)
from stages.data.text import read_lines


def test_text_keeps_unicode_separators_and_drops_the_mark(write):
    path = write("a.txt", b"\xef\xbb\xbfone\r\ntwo\xe2\x80\xa8half\rthree\n")
    assert list(read_lines(path)) == ["one", "two\u2028half", "three"]


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
        list(read_lines(write("a.txt", content)))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"gone.txt: no such file"):
        list(read_lines(tmp_path / "gone.txt"))


def test_csv_lines_follow_quoted_line_ends(write):
    table = read_csv(write("a.csv", 'x,y\n"one\ntwo",1\n\n"say ""hi""",2\n'))
    assert table.columns == ["x", "y"]
    assert list(table.rows) == [{"x": "one\ntwo", "y": "1"}, {"x": 'say "hi"', "y": "2"}]
    assert list(table.line_numbers) == [2, 5]
    assert table.where(1).endswith("a.csv, line 5")
    assert list(table.column("y")) == ["1", "2"]
    assert list(table.first(1).rows) == table.rows[:1]
    assert table.first(None) is table


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        # GLUE: marks are text.
        ('x\ty\n" open\t1\n', ['" open']),
        ('x\ty\n"Stay"\t1\n', ['"Stay"']),
        ('x\ty\n"Stay" and "go"\t1\n', ['"Stay" and "go"']),
        ('x\ty\n"a ""b"" c"\t1\nso "d"\t2\n', ['"a ""b"" c"', 'so "d"']),
        ('x\ty\nan " open\t1\nand " closed\t2\n', ['an " open', 'and " closed']),
        ('x\ty\n"open\t1\nclosed"\t2\n', ['"open', 'closed"']),
        # pandas and readr: cells with marks are quoted, marks within doubled.
        ('x\ty\n"He said ""stay"""\t1\nplain\t2\n', ['He said "stay"', "plain"]),
        ('x\ty\n"""Stay"""\t1\n', ['"Stay"']),
        ('x\ty\n"a\tb"\t1\n', ["a\tb"]),
        ('x\ty\n"a\nb"\t1\n', ["a\nb"]),
        ('x\ty\r\n"a\r\nb ""c"""\t1\r\n', ['a\r\nb "c"']),
        # R's write.table and csv.QUOTE_NONNUMERIC: every text is quoted, the header too.
        ('"x"\t"y"\n"Stay"\t1\n', ["Stay"]),
    ],
)
def test_two_kinds_of_tsv(write, content, cells):
    table = read_table(write("a.tsv", content))
    assert table.columns == ["x", "y"]
    assert list(table.column("x")) == cells
    assert list(table.column("y")) == ["1", "2"][: len(cells)]


def test_line_ends_within_cells_stay(write):
    table = read_table(write("a.csv", 'x,y\r\n"a\r\nb\rc\nd",1\r\n'))
    assert list(table.rows) == [{"x": "a\r\nb\rc\nd", "y": "1"}]


@pytest.mark.parametrize(
    "name", ["a.CSV", "b.Csv", "c.TSV", "d.JSON", "e.JsonL", "f.ndjson", "g.NDJSON"]
)
def test_names_in_any_case(write, name):
    content = {"c": "x\nA\n", "t": "x\nA\n"}.get(name[2].lower(), '{"x": "A"}\n')
    assert list(read_table(write(name, content)).rows) == [{"x": "A"}]


@pytest.mark.parametrize(
    "name", ["a.txt", "A.TXT", "a", "a.md", "wiki.train.raw", "wiki.train.tokens"]
)
def test_plain_text(write, name):
    assert list(read_plain_text(write(name, "  A {\n\n}\n"))) == ["  A {", "", "}"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", '{"text": "A"}\n{"text": "B"}\n', "a.txt: JSON, not plain text; name it .jsonl"),
        ("a.txt", '\n[\n{"text": "A"}]\n', "a.txt: JSON, not plain text"),
        ("a.dat", "A\n", "a.dat: unknown kind of file; expected .txt"),
        ("a.parquet", "A\n", "a.parquet: unknown kind of file"),
        ("a.txt.gz", gzip.compress(b"A", mtime=0), "a.txt.gz: not UTF-8 text but gzip; unpack it"),
        ("a.txt", gzip.compress(b"A", mtime=0), "not UTF-8 text but gzip"),
        ("a.txt", bz2.compress(b"A"), "bzip2"),
        ("a.txt", lzma.compress(b"A"), "but xz"),
        ("a.txt", b"PAR1\x15\x04\x15\x00PAR1", "Parquet; write it as JSON lines"),
        ("a.txt", b"PK\x03\x04\x14\x00\x00", "but ZIP"),
        ("a.txt", "A\nB\n".encode("utf-16"), "but UTF-16; save it as UTF-8"),
        ("a.txt", "A line of text\nB\n".encode("utf-16-be"), "but UTF-16; save it"),
        ("a.txt", "A line of text\nB\n".encode("utf-16-le"), "but UTF-16; save it"),
        ("a.txt", "A\nB\n".encode("utf-32"), "but UTF-32; save it"),
        (
            "a.txt",
            b"A\ncaf\xe9\n",
            r"line 2, byte 5: not UTF-8; save .* \(the byte is 'é' in Windows-1252\)",
        ),
        ("a.txt", b"A\n\x93so\x94\n", r"line 2, byte 2: not UTF-8; save .* in Windows-1252"),
        ("a.txt", b"A\n\x81\xff\n", r"line 2, byte 2: not UTF-8; save the file as UTF-8$"),
    ],
)
def test_plain_text_refused(write, name, content, message):
    with pytest.raises(InputError, match=message):
        list(read_plain_text(write(name, content)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "x,y\nA,B\n".encode("utf-16")),
        ("a.CSV", gzip.compress(b"x\nA\n", mtime=0)),
        ("a.csv.gz", gzip.compress(b"x\nA\n", mtime=0)),
        ("a.jsonl", '{"x": 1}'.encode("utf-16-le")),
        ("a.json.zst", b"\x28\xb5\x2f\xfd\x24\xff"),
    ],
)
def test_tables_of_another_encoding(write, name, content):
    with pytest.raises(InputError, match="not UTF-8 text but"):
        read_table(write(name, content))


def test_text_that_begins_as_another_file_does(write):
    assert list(read_lines(write("a.txt", "PAR1 is a gene\n"))) == ["PAR1 is a gene"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_json_named_as_cells(write, name):
    with pytest.raises(InputError, match=r"its lines are JSON; name it \.jsonl"):
        read_table(write(name, '{"x": "A", "y": 1}\n{"x": "B", "y": 2}\n'))


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
    assert list(table.rows) == [{"a": 1}, {"a": 2, "b": [3]}]
    assert table.columns == ["a", "b"]
    assert list(table.line_numbers) == lines
    with pytest.raises(InputError, match=f"a.json, line {lines[0]}: no 'b'"):
        table.column("b")
    with pytest.raises(InputError, match="no column 'c'; there are 'a', 'b'"):
        table.column("c")


def test_json_single_objects(write):
    assert list(read_json(write("a.json", '{"a": 1}\n')).rows) == [{"a": 1}]
    assert list(read_json(write("b.json", '{"data": [\n{"a": 1}\n]}\n')).rows) == [{"a": 1}]
    rows = read_json(write("c.jsonl", '{"data": [1]}\n{"data": [2]}\n')).rows
    assert list(rows) == [{"data": [1]}, {"data": [2]}]


def test_json_whole_characters(write):
    content = '{"a": "\\ud83d\\ude00 \\\\ud83d \\\\u0000"}\n'
    assert list(read_json(write("a.json", content)).rows) == [{"a": "\U0001f600 \\ud83d \\u0000"}]


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
        ('{"a": 1}\n{"a": "\\ud83d"}\n', r"a.json, line 2: half of a character, '\\ud83d'"),
        ('[{"a": 1},\n{"a": ["x", {"b": "\\uDE00 x"}]}]', "a.json, line 2: half of a character"),
        ('{"\\udbff": 1}', "a.json, line 1: half of a character"),
        ('{"data": [\n\n{"a": "\\ud83dx\\ude00"}]}', "a.json, line 3: half of a character"),
        ('{"a": "\\u0000"}', "a.json, line 1: a NUL character"),
        ('{"a": 1, "a": 2}', "a.json, line 1: .*the key 'a' is given twice"),
        (
            '{"a": 1}\n{"a": {"b": 1, "c": 2, "b": 3}}',
            "a.json, line 2: .*the key 'b' is given twice",
        ),
        ('{"a": ' + "9" * 5000 + "}", "a.json, line 1: cannot be read as JSON"),
    ],
)
def test_json_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_json(write("a.json", content))


def test_table_of_unknown_kind(write):
    with pytest.raises(InputError, match=r"a.parquet: unknown kind of file; expected .csv"):
        read_table(write("a.parquet", "x"))


def test_place_without_lines():
    assert Table("hub/set", ["x"], [{"x": 1}]).where(0) == "hub/set, row 1"
