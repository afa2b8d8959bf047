"""Rows of speech of every shape: what comes out is what went in, or there is one clear line."""

import csv
import io
import json
from contextlib import nullcontext, suppress
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import strategies as st
from support.generated import holds, sizes
from support.toy_speech import encoded, tone

from stages.core.errors import InputError
from stages.tasks.speech.convert import Source, convert
from stages.tasks.speech.examples import read_examples

CLIPS = {
    "0.wav": encoded(tone(440)),
    "a b.flac": encoded(tone(880), form="FLAC"),
    "ä.wav": encoded(tone(220)),
}

# Line ends, quotation marks, separators, blanks of all kinds, letters of every plane. Halves of a
# pair are no text that a file can hold as UTF-8, but JSON can escape them.
TEXTS = st.text(st.sampled_from("aB \t\n\r\"',;\\\0\ufeff\u00a0\u2028\u200bé中😀"), max_size=8)
HALVES = st.sampled_from(["\ud83d", "a\udfff", "\udc80 b"])
NAMES = st.sampled_from([*CLIPS, "./0.wav", "../0.wav", "none.wav", "", "/etc/passwd", "a" * 300])
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS | HALVES
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
GOOD = st.fixed_dictionaries(
    {"audio": st.sampled_from(list(CLIPS)), "text": TEXTS | st.text() | HALVES}
)
ANY = st.dictionaries(
    st.sampled_from(["audio", "text", "file_name", "more", "id", ""]) | TEXTS, NAMES | VALUES
)
EXTRA = st.fixed_dictionaries({}, optional={"more": VALUES, "id": st.integers()})
ROWS = st.one_of(
    st.lists(st.tuples(GOOD, EXTRA).map(lambda two: two[0] | two[1]), min_size=1, max_size=4),
    st.lists(GOOD | ANY, max_size=4),
)


STORED = st.none() | st.fixed_dictionaries(
    {
        "bytes": st.sampled_from([None, b"", *CLIPS.values()]) | st.binary(),
        "path": st.none() | NAMES,
    }
)
AUDIO = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
# Another column, and a value of it.
OTHERS = [
    (pyarrow.uint64(), 2**64 - 1),
    (pyarrow.int8(), -1),
    (pyarrow.float32(), float("nan")),
    (pyarrow.date32(), 2**31 - 1),
    (pyarrow.timestamp("ns"), 1),
    (pyarrow.timestamp("s"), 2**40),
    (pyarrow.duration("us"), 2**63 - 1),
    (pyarrow.time64("ns"), 1),
    (pyarrow.large_string(), "a"),
    (pyarrow.decimal128(20, 3), Decimal("1.5")),
    (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), "a"),
    (pyarrow.large_list(pyarrow.uint64()), [1, 2**63 - 1]),
    (pyarrow.map_(pyarrow.string(), pyarrow.int8()), [("a", 1)]),
    (pyarrow.string(), "a"),
]
ORDERS = [["audio", "text", "more"], ["text", "audio", "more"], ["audio", "text", "audio"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of clips that the tables name."""
    folder = tmp_path_factory.mktemp("source")
    for name, content in CLIPS.items():
        (folder / name).write_bytes(content)
    return folder


def check(path: Path, expected: list[tuple[bytes, str]] | None) -> None:
    """Read and convert: what went in must come out, or an `InputError` of one line.

    Args:
        path: the file.
        expected: audio and transcript of rows without a fault; None where there is one.
    """
    target = path.with_name("out.parquet")
    with nullcontext() if expected else suppress(InputError):
        examples = read_examples(path)
        count = convert(str(path), target, Source(source=str(path.parent))).rows
        found = read_examples(target)
        assert count == len(found) == len(examples)
        assert found.texts == examples.texts
        if expected:
            assert list(zip(examples.contents(), examples.texts, strict=True)) == expected


def named(bytes, path=None) -> dict:
    """An entry of the column of audio, whose bytes may be given as a clip's name."""
    return {"bytes": CLIPS[bytes] if isinstance(bytes, str) else bytes, "path": path}


def is_text(value) -> bool:
    """Whether a value is text that is not blank and that UTF-8 has."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def without_fault(rows: list[dict]) -> list[tuple[bytes, str]] | None:
    """Audio and transcript of each row, if all have only these and both are certainly right."""
    if not rows or any(row.keys() != {"audio", "text"} for row in rows):
        return None
    if not all(str(row["audio"]) in CLIPS and is_text(row["text"]) for row in rows):
        return None
    return [(CLIPS[row["audio"]], row["text"].strip()) for row in rows]


@sizes
def test_json_lines(count, folder):
    def test(rows, escaped):
        path = folder / "train.jsonl"
        lines = [json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows]
        path.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
        check(path, without_fault(rows))

    holds(test, ROWS, st.booleans(), count=count)


@sizes
def test_comma_separated(count, folder):
    def test(rows):
        header = list(dict.fromkeys(["audio", "text", *(key for row in rows for key in row)]))
        out = io.StringIO()
        cells = [["" if row.get(key) is None else str(row[key]) for key in header] for row in rows]
        csv.writer(out, lineterminator="\n").writerows([header, *cells])
        path = folder / "train.csv"
        path.write_bytes(out.getvalue().encode("utf-8", "surrogatepass"))
        check(path, without_fault(rows))

    holds(test, ROWS, count=count)


@sizes
def test_parquet(count, folder):
    def test(rows, other, order):
        kind, value = other
        columns = [
            pyarrow.array([entry and named(**entry) for entry, _ in rows], AUDIO),
            pyarrow.array([text for _, text in rows], pyarrow.string()),
            pyarrow.array([value, None, value, value][: len(rows)], kind),
        ]
        path = folder / "train.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns, names=order), path)
        check(path, None)

    rows = st.lists(st.tuples(STORED, st.none() | TEXTS), max_size=4)
    holds(test, rows, st.sampled_from(OTHERS), st.sampled_from(ORDERS), count=count)


@sizes
def test_parquet_without_a_fault(count, folder):
    def test(rows, other):
        columns = {
            "text": [text for _, text in rows],
            "audio": pyarrow.array([named(name) for name, _ in rows], AUDIO),
            "more": pyarrow.array([other[1]] * len(rows), other[0]),
        }
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
        check(folder / "train.parquet", [(CLIPS[name], text.strip()) for name, text in rows])

    rows = st.lists(
        st.tuples(st.sampled_from(list(CLIPS)), TEXTS.filter(is_text)),
        min_size=1,
        max_size=4,
    )
    # Python has no such dates, and of a map it makes a list of pairs, which are of two types.
    odd = (2**31 - 1, 2**40, 2**63 - 1, [("a", 1)])
    others = [other for other in OTHERS if other[1] not in odd]
    holds(test, rows, st.sampled_from(others), count=count)
