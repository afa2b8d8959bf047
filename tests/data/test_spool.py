"""Rows that wait on disk: order, places, and what becomes of the file."""

import gc
import os
import tracemalloc

import pytest

from stages.core.errors import InputError
from stages.data import spool
from stages.data.spool import Spool
from stages.data.tables import Table, TableColumn, has_labels


@pytest.fixture(params=["in memory", "on disk"])
def small(request, monkeypatch, tmp_path):
    """Chunks of three rows, which may stay in memory or not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(spool, "CHUNK_ROWS", 3)
    if request.param == "on disk":
        monkeypatch.setattr(spool, "MEMORY", 0)


@pytest.fixture
def no_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(spool, "CHUNK_ROWS", 2)
    monkeypatch.setattr(spool, "MEMORY", 0)


def fill(count):
    rows = Spool()
    for number in range(count):
        rows.append({"n": number, "text": "é\n" * number}, 2 * number + 1, 10)
    return rows


def open_files():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue  # of the listing itself
    return links


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 10])
def test_rows_and_lines(small, count):
    rows = fill(count)
    expected = [{"n": n, "text": "é\n" * n} for n in range(count)]
    assert len(rows) == count
    assert list(rows) == expected
    assert [rows[n] for n in range(count)] == expected
    assert [rows[n] for n in range(-1, -count - 1, -1)] == expected[::-1]
    assert rows[1:8:2] == expected[1:8:2]
    assert list(rows.lines) == [2 * n + 1 for n in range(count)]
    assert [rows.lines[n] for n in range(count)] == [2 * n + 1 for n in range(count)]
    with pytest.raises(IndexError):
        rows[count]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 10, 12])
def test_first(small, count):
    rows = fill(10)
    view = rows.first(count)
    assert [row["n"] for row in view] == list(range(10))[:count]
    assert len(view) == len(view.lines) == min(count, 10)
    assert list(view.lines) == list(rows.lines.first(count)) == [2 * row["n"] + 1 for row in view]
    assert view[-1:] == rows[:count][-1:]
    assert len(view.first(2)) == min(count, 2)
    assert len(rows) == 10


def test_lines_beside_their_rows(no_memory):
    rows = fill(9)
    assert all(line == 2 * row["n"] + 1 for row, line in zip(rows, rows.lines, strict=True))


def test_a_row_takes_no_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(spool, "MEMORY", 0)
    rows, row = Spool(), {"n": 1}

    def add(count):
        for line in range(count):
            rows.append(row, line, 1)

    add(50_000)
    tracemalloc.start()
    try:
        add(200_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000  # of line numbers alone it would be eight times that


def test_two_readers_at_once(small):
    rows = fill(8)
    assert [(a["n"], b["n"]) for a, b in zip(rows, rows.first(8), strict=True)] == [
        (n, n) for n in range(8)
    ]
    ahead = iter(rows)
    next(ahead)
    assert rows[7]["n"] == 7
    assert [row["n"] for row in ahead] == list(range(1, 8))


def test_chunks_are_bounded_in_size(monkeypatch):
    monkeypatch.setattr(spool, "CHUNK_SIZE", 100)
    rows = Spool()
    for number in range(10):
        rows.append({"n": number}, number, 60)
    assert [row["n"] for row in rows] == list(range(10))
    assert list(rows._starts) == [0, 2, 4, 6, 8]


def test_the_size_of_a_row_is_found(monkeypatch):
    monkeypatch.setattr(spool, "CHUNK_SIZE", 100)
    rows = Spool()
    for number in range(4):
        rows.append({"n": "x" * 60}, number)
    assert list(rows._starts) == [0, 2]


def test_the_file_has_no_name_and_goes_with_the_rows(no_memory, tmp_path):
    scratch = tmp_path / "cache" / "flaxmill" / "scratch"
    rows = fill(9)
    assert scratch.is_dir()
    assert not list(scratch.iterdir())
    assert any(str(scratch) in link for link in open_files())
    view = rows.first(8)
    del rows
    gc.collect()
    assert [row["n"] for row in view] == list(range(8))
    del view
    gc.collect()
    assert not any(str(scratch) in link for link in open_files())


def test_few_rows_need_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = Spool()
    for number in range(25_000):
        rows.append({"n": number}, number + 1, 5)
    assert [row["n"] for row in rows] == list(range(25_000))
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written(no_memory, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [row["n"] for row in fill(9)] == list(range(9))


def test_no_folder_at_all(no_memory, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"no folder for the rows .* set XDG_CACHE_HOME"):
        fill(9)


def test_a_full_disk(no_memory, monkeypatch):
    def full():
        return open("/dev/full", "wb")

    monkeypatch.setattr(spool, "scratch_file", full)
    with pytest.raises(InputError, match=r"^No space left on device, .* make room"):
        fill(9)


def test_columns_read_the_rows_anew(small):
    table = Table("f.json", ["n", "text"], fill(7), None, ["n"])
    column = table.column("n")
    assert isinstance(column, TableColumn)
    assert len(column) == 7
    assert list(column) == list(column) == list(range(7))
    assert column[5] == 5
    assert column[-1] == 6
    assert column[2:4] == [2, 3]
    assert 3 in column
    assert list(table.first(2).texts("text")) == ["", "é\n"]
    with pytest.raises(InputError, match=r"f.json, row 1: 'n' is 0; expected text"):
        table.texts("n")


def test_a_row_without_the_column(small):
    rows = fill(5)
    rows.append({"text": "x"}, 30, 1)
    table = Table("f.json", ["n", "text"], rows, rows.lines)
    with pytest.raises(InputError, match=r"f.json, line 30: no 'n'"):
        table.column("n")
    assert list(table.first(5).column("n")) == list(range(5))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], False),
        (["a", "b"], True),
        ([None, None], False),
        (["a", None], False),
        (["?", "?"], False),
        ([-1, -1], False),
        ([-1, 1], True),
        (["-1", "a", ""], False),
    ],
)
def test_has_labels(values, found):
    assert has_labels(iter(values)) is found
