"""Generated files: what is read is what was written, or one line says what is wrong."""

import csv
import io
import json
import re

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from support.generated import holds, json_files, read, sizes, text

from stages.core.errors import InputError
from stages.data import text as text_module
from stages.data.delimited import _is_quoted
from stages.data.tables import read_csv, read_json, read_plain_text, read_table
from stages.data.text import split_lines

tables = st.integers(2, 4).flatmap(
    lambda width: st.tuples(
        st.lists(text.filter(str.strip), min_size=width, max_size=width, unique=True),
        st.lists(st.lists(text, min_size=width, max_size=width), min_size=1, max_size=4),
    )
)


@sizes
@pytest.mark.parametrize(
    ("suffix", "delimiter", "quoting"),
    [
        (".csv", ",", csv.QUOTE_MINIMAL),
        (".CSV", ",", csv.QUOTE_ALL),
        (".tsv", "\t", csv.QUOTE_MINIMAL),
        (".tsv", "\t", csv.QUOTE_ALL),
    ],
)
def test_cells(count, tmp_path, suffix, delimiter, quoting):
    path = tmp_path / f"a{suffix}"

    def check(table):
        header, records = table
        if delimiter == "\t":
            # A quoted tab may stand in each row at the same place: nothing tells such a file from
            # one of GLUE with a column more.
            assume(not any("\t" in cell for cell in sum(records, header)))
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=delimiter, quoting=quoting).writerows([header, *records])
        path.write_bytes(written.getvalue().encode())
        found = read_table(path)
        expected = [
            name.removeprefix("\ufeff") if n == 0 else name for n, name in enumerate(header)
        ]
        assume(not header[0].startswith("\ufeff"))
        assert found.columns == expected
        assert [list(row.values()) for row in found.rows] == records

    holds(check, tables, count=count)


@sizes
def test_tabs_without_quoting(count, tmp_path):
    """As in GLUE: a sentence may hold any mark, and no tab or line end."""
    path = tmp_path / "a.tsv"
    cell = st.text(st.sampled_from("ab \"',"), min_size=1, max_size=8)
    records = st.lists(st.lists(cell, min_size=2, max_size=2), min_size=1, max_size=5)

    def check(found):
        # Marks that close in every cell, and double within one, are quoting.
        assume(any('"' in row[0].strip('"') or row[0].count('"') == 1 for row in found))
        assume(not any('""' in cell for row in found for cell in row))
        path.write_text("".join("\t".join(row) + "\n" for row in [["x", "y"], *found]))
        table = read(read_table, path)
        assert [list(row.values()) for row in table.rows] == found

    holds(check, records, count=count)


@sizes
def test_objects(count, tmp_path):
    path = tmp_path / "a.ndjson"

    def check(file):
        rows, content = file
        path.write_text(content, encoding="utf-8", newline="")
        found = read(read_json, path)
        # A single row that is a list, or whose `data` is one, may be the rows themselves.
        single = len(rows) == 1 and not (isinstance(rows[0], dict) and "data" not in rows[0])
        if found is not None and not single:
            assert repr(list(found.rows)) == repr(json.loads(json.dumps(rows)))
            assert all(found.where(row) for row in range(len(found)))

    holds(check, json_files("data", "b"), count=count)


@sizes
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_any_text_is_read_or_refused(count, tmp_path, name):
    path = tmp_path / name

    def check(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        read(read_table, path)

    lines = st.lists(text, max_size=5).map("\n".join)
    holds(check, st.one_of(lines, st.binary(max_size=40)), count=count)


@sizes
def test_plain_text_is_itself(count, tmp_path):
    path = tmp_path / "a.txt"

    def check(content):
        path.write_bytes(content.encode())
        found = read(lambda: list(read_plain_text(path)))
        if found is not None:
            assert found == split_lines(content.removeprefix("\ufeff"))[: len(found)]

    holds(check, st.lists(text, max_size=5).map("\n".join), count=count)


_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_QUOTED_FILE = re.compile(r'(?:(?:"(?:[^"]|"")*+"|[^"\t\r\n]*+)(?:\t|\r\n?|\n))*+')


def _is_quoted_as_a_whole(lines):
    """The rule of `_is_quoted`, written down for a file in memory."""
    rows = [line.rstrip("\r\n").split("\t") for line in lines if line.rstrip("\r\n")]
    header = rows[0]
    marked = [cell for row in rows for cell in row if '"' in cell]
    if all(len(row) == len(header) for row in rows):
        return all(map(_QUOTED.fullmatch, marked)) and (
            any('"' in cell[1:-1] for cell in marked) or all(map(_QUOTED.fullmatch, header))
        )
    return bool(marked) and _QUOTED_FILE.fullmatch("".join([*lines, "\n"])) is not None


@sizes
def test_the_rule_for_tabs_in_one_pass(count):
    cell = st.sampled_from(["a", "", '"a"', '"a ""b"""', '"a\tb"', '"a\nb"', 'a "b"', '"', '""'])
    end = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n", ""])
    row = st.tuples(st.lists(cell, min_size=1, max_size=3).map("\t".join), end).map("".join)
    odd = st.text(st.sampled_from('"""\t\n\ra'), max_size=16)

    def check(content):
        lines = list(io.StringIO(content, newline=""))
        assume(content.strip("\r\n"))
        assert _is_quoted(iter(lines)) == _is_quoted_as_a_whole(lines)

    holds(check, st.one_of(st.lists(row, max_size=5).map("".join), odd), count=count)


@sizes
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.txt"])
def test_blocks_of_any_size_give_the_same(count, tmp_path, monkeypatch, name):
    path = tmp_path / name

    def outcome(block):
        monkeypatch.setattr(text_module, "BLOCK_SIZE", block)
        try:
            if name == "a.txt":
                return list(read_plain_text(path))
            found = read_table(path)
        except InputError as error:
            return str(error)
        return found.columns, repr(list(found.rows)), list(found.line_numbers)

    def check(content, block):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        whole, cut = outcome(2**20), outcome(block)
        # A later fault of the bytes is found before an earlier one of the rows, or behind it.
        if not (isinstance(whole, str) and ("not UTF-8" in whole or "NUL byte" in whole)):
            assert cut == whole

    lines = st.lists(text, max_size=5).map("\n".join)
    made = json_files("data", "b").map(lambda found: found[1])
    content = st.one_of(lines, made, made, st.binary(max_size=40))
    holds(check, content, st.integers(1, 20), count=count)


def test_a_row_of_nothing_but_blanks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n,\n")
    assert list(read_csv(path).rows) == [{"x": "", "y": ""}]
