"""Generated files: what is read is what was written, or one line says what is wrong."""

import csv
import io
import json

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from support.generated import holds, json_files, read, sizes, text

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


def test_a_row_of_nothing_but_blanks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n,\n")
    assert list(read_csv(path).rows) == [{"x": "", "y": ""}]
