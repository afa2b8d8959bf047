"""Files in blocks: what a block cuts, what changes meanwhile, and how much is held."""

import io
import json
import os
import tracemalloc

import pytest

from stages.core.errors import InputError
from stages.data import text
from stages.data.json_rows import read_objects
from stages.data.json_stream import Document, JsonError
from stages.data.tables import read_json, read_plain_text, read_table
from stages.data.text import read_blocks, read_lines, read_raw_lines, read_text, split_lines

BLOCKS = pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 7, 16, 2**20])
CONTENT = "é\U0001f600\r\nb\rc\n\r\n\r\r\n\u2028ü\n\n\ufeff end\r"


@BLOCKS
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\r", "\r\r", "x"])
def test_lines_across_blocks(write, monkeypatch, block, mark, end):
    monkeypatch.setattr(text, "BLOCK_SIZE", block)
    path = write("a.txt", mark + CONTENT + end)
    lines = split_lines(CONTENT + end)
    assert read_text(path) == CONTENT + end
    assert list(read_lines(path)) == (lines if lines[-1] else lines[:-1])
    assert list(read_raw_lines(path)) == list(io.StringIO(CONTENT + end, newline=""))


@BLOCKS
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\r\n\r\n\r\n \n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"good\r\nb\r\r\nc\xe9d\n", r"line 4, byte 11: not UTF-8; .*'é' in Windows-1252\)"),
        (b"good\r\nb\xe9d\n\x81", r"line 2, byte 7: not UTF-8; save the file as UTF-8$"),
        (b"\xef\xbb\xbfgood\r\nb\0d\n", "line 2, byte 10: a NUL byte"),
        (b"a\n\xf0\x9f\x98", "line 2, byte 2: not UTF-8"),
        (b"\x1f\x8b\x08\0\0\0", "not UTF-8 text but gzip"),
        ("A line\nB\n".encode("utf-16-le"), "but UTF-16"),
        ("A line\nB\n".encode("utf-32"), "but UTF-32"),
    ],
)
def test_refused_across_blocks(write, monkeypatch, block, content, message):
    monkeypatch.setattr(text, "BLOCK_SIZE", block)
    with pytest.raises(InputError, match=message):
        list(read_lines(write("a.txt", content)))


@BLOCKS
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'x,y\r\n"a\r\nb ""c""",é\r\n\r\n"\r",\U0001f600\r\n'),
        ("a.tsv", 'x\ty\r\n"a\r\nb ""c"""\té\r\n'),
        ("a.tsv", 'x\ty\n" open\té\nb "c"\t2\n'),
        ("a.jsonl", '{"x": "é\\ud83d\\ude00 [", "y": 1.5e+10}\r\n\r\n{"x": -Infinity}\r'),
        ("a.json", '[{"x": "é\\ud83d\\ude00 }", "y": [1, {"z": []}]},\r\n {"x": -12.5e+3}]\r\n'),
        ("a.json", '{"v": [1, [2]], "d": {"data": 1},\r\n"data": [{"x": true}, {"y": null}]}\n\n'),
        ("a.json", '\n{"data" : [ {"x":1e5} , {} ] , "v": 12}'),
    ],
)
def test_tables_across_blocks(write, monkeypatch, block, name, content):
    path = write(name, content)
    expected = read_table(path)
    monkeypatch.setattr(text, "BLOCK_SIZE", block)
    found = read_table(path)
    assert list(found.rows) == list(expected.rows)
    assert found.columns == expected.columns
    assert list(found.line_numbers) == list(expected.line_numbers)


BROKEN = [
    '[{"a": 1},\n {"a" 2}]',
    '[{"a": 1}\n {"a": 2}]',
    '[{"a": 1},\n',
    '[{"a": 1}, \n]',
    '[{"a": 1}] \n\n x',
    '[\n{"a": "x\ny"}]',
    '[\n{"a": "x',
    '[\n{"a": "\\ux"}]',
    '[\n{"a": tru}]',
    '[\n{"a": 1e+}]',
    "[\n-]",
    '{"v": 1,\n}',
    '{"v": 1\n "data": []}',
    '{"v"\n 1}',
    "{\nv: 1}",
    '{"v": [1,\n 2 3]}',
    '{"v": [1,\n]}',
    '{"v":\n',
    '{"data": [{"a": 1},\n\n{"a": 2]}',
    '{"data": [{"a": 1}],\n "z"}',
    '{"data": [[{"a": 1},\n {"b" 1}]]}',
    "\ufeff[]",
    "",
]


@BLOCKS
@pytest.mark.parametrize("content", BROKEN)
def test_broken_documents_are_described_as_the_json_module_does(content, block):
    blocks = (content[at : at + block] for at in range(0, len(content), block))
    with pytest.raises(json.JSONDecodeError) as expected:
        json.JSONDecoder().decode(content)
    with pytest.raises(JsonError) as found:
        list(Document(blocks).rows())
    error = expected.value
    assert str(found.value) == f"not JSON ({error.msg}, column {error.colno})"
    assert found.value.line == error.lineno


def test_a_key_given_twice_is_named_with_the_line_of_its_row(write):
    for content in ('[\n{"a": 1},\n{"a": 1, "a": 2}]', '{"data": [],\n\n"data": [{"a": 1}]}'):
        with pytest.raises(InputError, match=r"line 3: .*the key '\w+' is given twice"):
            read_json(write("a.json", content))


def test_many_keys_beside_the_rows(write):
    content = {str(number): number for number in range(100_000)}
    table = read_json(write("a.json", json.dumps({**content, "data": [{"a": 1}]})))
    assert list(table.rows) == [{"a": 1}]


def test_a_file_that_grows_while_it_is_read(write, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_SIZE", 4)
    path = write("a.txt", "one\ntwo\n")
    blocks = read_blocks(path)
    assert next(blocks) == "one\n"
    with path.open("a") as file:
        file.write("three\n")
    with pytest.raises(InputError, match=r"a.txt: changed while it was read; wait until"):
        list(blocks)


def test_a_file_that_is_rewritten_while_it_is_read(write, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_SIZE", 4)
    path = write("a.txt", "one\ntwo\n")
    os.utime(path, ns=(0, 0))
    lines = read_lines(path)
    assert next(lines) == "one"
    path.write_text("one\nTWO\n")
    with pytest.raises(InputError, match=r"a.txt: changed while it was read"):
        list(lines)


def test_a_pipe():
    end, other = os.pipe()
    with os.fdopen(end), os.fdopen(other, "w") as writer:
        writer.write("text\n")
        writer.flush()
        with pytest.raises(InputError, match=rf"/dev/fd/{end}: a pipe, .* write it to a file"):
            read_plain_text(f"/dev/fd/{end}")


def _held(run):
    """The most memory that `run` took at once, in bytes."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ROW = {"a": "some words of a sentence, and some more of them", "b": [1, 2, 3]}
COUNT = 20_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.jsonl", (json.dumps(ROW) + "\n") * COUNT),
        ("array.json", json.dumps([ROW] * COUNT)),
        ("data.json", json.dumps({"other": [ROW] * 1000, "data": [ROW] * (COUNT - 1000)})),
        ("indented.json", json.dumps([ROW] * COUNT, indent=1)),
        ("broken.json", json.dumps([ROW] * COUNT).replace("[1", "[1 1", 1)),
        ("broken_late.json", json.dumps([ROW] * COUNT)[:-1]),
        ("no_rows.json", json.dumps({"rows": [ROW] * COUNT}, indent=1)),
        ("nested.json", json.dumps([[ROW] * COUNT])),
        ("not_lines.json", "[\n" + json.dumps(ROW) + (",\n" + json.dumps(ROW)) * COUNT + "\n]"),
    ],
)
def test_json_is_never_held_as_a_whole(write, monkeypatch, name, content):
    monkeypatch.setattr(text, "BLOCK_SIZE", 2**14)
    path = write(name, content)

    def run():
        try:
            for _ in read_objects(path):
                pass
        except InputError:
            pass

    assert len(content) > 1_000_000
    assert _held(run) < 300_000


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv"])
def test_rows_and_lines_are_never_held_as_a_whole(write, monkeypatch, tmp_path, name):
    monkeypatch.setattr(text, "BLOCK_SIZE", 2**14)
    monkeypatch.setattr("stages.data.spool.CHUNK_SIZE", 2**14)
    monkeypatch.setattr("stages.data.spool.MEMORY", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    content = "a\tb,c,d\n" + ("some words of a sentence\tand, for 'all', some more\n" * COUNT)
    path = write(name, content)

    def run():
        if name == "a.txt":
            assert sum(1 for _ in read_plain_text(path)) == COUNT + 1
        else:
            assert len(read_table(path)) == COUNT

    # Beside the blocks: the line of each row.
    assert _held(run) < 250_000 + 32 * COUNT


def test_a_mark_that_never_closes_takes_linear_time(write):
    rows = 200_000
    table = read_table(write("a.tsv", 'x\ty\n"open\t1\n' + 'a\t"b"\n' * rows))
    assert len(table) == rows + 1
    assert table.rows[0] == {"x": '"open', "y": "1"}
