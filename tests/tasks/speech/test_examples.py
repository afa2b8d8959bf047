"""Rows that name audio files: which files they may name, and what else can be wrong with them."""

import json
from types import SimpleNamespace

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from support.toy_speech import encoded, tone, write_folder

from stages.core.errors import InputError
from stages.data.cache import RowCache
from stages.data.hub import fetch_split
from stages.tasks.speech.convert import Source, convert
from stages.tasks.speech.examples import read_examples

SECRET = encoded(tone(900))


@pytest.fixture
def source(tmp_path):
    """A folder of clips, with ways out of it to a file beside it."""
    folder = tmp_path / "source"
    write_folder(folder / "train", ["low mid", "high"])
    (tmp_path / "secret.wav").write_bytes(SECRET)
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "up").symlink_to(tmp_path)
    (folder / "within.wav").symlink_to("train/0.wav")
    return folder


def write_rows(folder, kind: str, name: str):
    """A file with a row that is well and one that names another audio file."""
    names = ["train/0.wav", name]
    path = folder / f"train.{kind.split()[0]}"
    if kind == "csv":
        path.write_text("audio,text\n" + "".join(f'"{name}",a\n' for name in names))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"audio": x, "text": "a"}) + "\n" for x in names))
    elif kind == "parquet of names":
        pyarrow.parquet.write_table(pyarrow.table({"audio": names, "text": ["a", "a"]}), path)
    else:
        both = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        content = (folder / "train/0.wav").read_bytes()
        audio = [{"bytes": content, "path": names[0]}, {"bytes": None, "path": name}]
        columns = [pyarrow.array(audio, both), pyarrow.array(["a", "a"])]
        pyarrow.parquet.write_table(pyarrow.table(columns, names=["audio", "text"]), path)
    return path


KINDS = ["csv", "jsonl", "parquet of names", "parquet of bytes"]
OUTSIDE = ["../secret.wav", "{above}/secret.wav", "link.wav", "up/secret.wav",
           "train/../../secret.wav", "up/source/../secret.wav"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_outside_the_source_is_refused(kind, name, source, tmp_path):
    path = write_rows(source, kind, name.format(above=tmp_path))
    with pytest.raises(InputError, match=r"(row 2|line [23]) \(.*\): '.*' is outside .*source; "):
        convert(str(path), tmp_path / "a.parquet", Source(source=str(source)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["within.wav", "up/source/train/0.wav", "train/../train/0.wav"])
def test_a_file_inside_the_source_is_read(kind, name, source, tmp_path):
    path = write_rows(source, kind, name)
    assert convert(str(path), tmp_path / "a.parquet", Source(source=str(source))).rows == 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_hub_gave_names_no_other_file(kind, source, tmp_path):
    path = write_rows(source, kind, str(tmp_path / "secret.wav"))
    with pytest.raises(InputError, match="is outside"):
        convert(str(path), tmp_path / "a.parquet", Source(dataset_name="some/clips"))


@pytest.mark.parametrize(
    ("name", "read"),
    [("{above}/secret.wav", False), ("file://{above}/secret.wav", False), ("{hub}/link", False),
     ("zip://a.wav::{above}/a.zip", False), ("{hub}/own", True)],
)  # fmt: skip
def test_a_hub_data_set_embeds_no_other_file(name, read, tmp_path):
    hub, own = tmp_path / "hub", encoded(tone(440))
    hub.mkdir()
    (tmp_path / "secret.wav").write_bytes(SECRET)
    (hub / "own").write_bytes(own)
    (hub / "link").symlink_to(tmp_path / "secret.wav")
    features = datasets.Features({"audio": datasets.Audio(), "text": datasets.Value("string")})
    named = name.format(above=tmp_path, hub=hub)
    audio = [{"bytes": own, "path": "a.wav"}, {"bytes": None, "path": named}]
    table = pyarrow.table({"audio": audio, "text": ["a", "b"]}, schema=features.arrow_schema)
    pyarrow.parquet.write_table(table, hub / "train.parquet")
    args = SimpleNamespace(
        dataset_name=str(hub), dataset_config_name=None, dataset_revision=None, token=None,
        cache_dir=str(tmp_path / "cache"), overwrite_cache=False,
    )  # fmt: skip
    if read:
        assert list(read_examples(fetch_split(args, "train")).contents()) == [own, own]
        return
    with pytest.raises(InputError, match=r"split train, row 2: .* is outside the data set"):
        fetch_split(args, "train")


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_reads_any_file_that_a_manifest_of_text_names(kind, source, tmp_path):
    path = write_rows(source, kind, str(tmp_path / "secret.wav"))
    if kind in ("csv", "jsonl"):
        assert list(read_examples(path).contents())[1] == SECRET
        return
    with pytest.raises(InputError, match="is outside"):
        list(read_examples(path).contents())


@pytest.mark.parametrize("split", [{}, {"train_file": "train"}])
def test_a_manifest_outside_the_source_is_refused(split, source, tmp_path):
    manifest = source / "train" / "metadata.jsonl"
    (tmp_path / "metadata.jsonl").write_text(manifest.read_text())
    manifest.unlink()
    manifest.symlink_to(tmp_path / "metadata.jsonl")
    with pytest.raises(InputError, match=r"data.train_file: 'train/metadata.jsonl' is outside"):
        Source(source=str(source), **split).file("train")


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 5000, "train", "/dev/zero", "loop"])
def test_a_name_that_leads_to_no_file(name, source):
    (source / "loop").symlink_to("loop")
    (source / "train.jsonl").write_text(json.dumps({"audio": name, "text": "a"}))
    for within in (None, source):
        with pytest.raises(InputError, match=r"train.jsonl, line 1 \(.{,80}\): ") as caught:
            read_examples(source / "train.jsonl", within=within)
        assert len(str(caught.value)) < 6000


def test_a_zero_byte_is_no_name(source):
    with pytest.raises(InputError, match=r"train.parquet, row 2 \(.*\): .* is no path"):
        read_examples(write_rows(source, "parquet of names", "a\0b.wav"))


def test_a_file_larger_than_a_clip_may_be(source, monkeypatch):
    monkeypatch.setattr("stages.tasks.speech.examples.MOST_BYTES", 9000)
    with pytest.raises(InputError, match=r"line 1 \(0.wav\): 12844 bytes; a clip has at most 9000"):
        read_examples(source / "train")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"audio": [{"data": b"x"}], "text": ["a"]}, "'audio' is struct<data: binary>; expected"),
        ({"audio": [{"bytes": {"x": b"x"}}], "text": ["a"]}, "'audio' is struct<bytes: struct<"),
        ({"audio": [b"x"], "text": [7]}, "row 1: 'text' is 7; expected a transcript"),
        ({"audio": [None], "text": ["a"]}, "row 1: 'audio' is None; expected the path"),
    ],
)
def test_a_parquet_file_that_is_wrong(columns, said, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        read_examples(tmp_path / "a.parquet")
    assert said in str(caught.value)


def test_a_parquet_file_with_a_column_twice(tmp_path):
    table = pyarrow.table([["0.wav"], ["a"], ["b"]], names=["audio", "text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: the column 'text' is there twice"):
        read_examples(tmp_path / "a.parquet")


@pytest.mark.parametrize("value", [{}, [{}], 2**70, ["a", 1], [[1], {"a": 1}]])
def test_a_column_that_parquet_cannot_hold(value, source, tmp_path):
    rows = [{"file_name": "0.wav", "text": "a", "more": value}]
    (source / "train" / "metadata.jsonl").write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(InputError, match=r"metadata.jsonl: the values of 'more' are of several"):
        convert(str(source / "train"), tmp_path / "a.parquet", Source(source=str(source)))


def test_rows_are_kept_and_the_files_are_looked_for_anew(source, tmp_path, monkeypatch):
    cache = RowCache(tmp_path / "cache")
    first = read_examples(source / "train", cache=cache, limit=1)

    def never(*_):
        raise AssertionError("read again")

    monkeypatch.setattr("stages.tasks.speech.examples.read_rows", never)
    again = read_examples(source / "train", cache=cache, lower_case=True)
    assert (first.names, first.texts) == (["0.wav"], ["low mid"])
    assert (again.names, again.texts) == (["0.wav", "1.wav"], ["low mid", "high"])
    assert again.first(1).first(9).texts == ["low mid"]
    assert again.where(1).endswith("train/metadata.jsonl, line 2 (1.wav)")
    # The same rows under another name, in another place.
    moved = (source / "train").rename(source / "moved")
    assert read_examples(moved, cache=cache).where(0).startswith(str(moved))
    (moved / "1.wav").unlink()
    with pytest.raises(InputError, match=r"line 2 \(1.wav\): no such file"):
        read_examples(moved, cache=cache)
    with pytest.raises(AssertionError):  # other columns
        read_examples(moved, cache=cache, text_column="voice")


def test_transcripts_that_not_all_rows_have(source):
    rows = [{"audio": "train/0.wav", "text": text} for text in ("a", "?")]
    path = source / "some.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_examples(path, needs_texts=False).texts is None
    assert read_examples(path).texts == ["a", "?"]


def test_rows_of_parquet_lie_on_disk_where_they_are_many(source, monkeypatch):
    monkeypatch.setattr("stages.data.spool.MEMORY", 0)
    monkeypatch.setattr("stages.data.spool.CHUNK_ROWS", 2)
    monkeypatch.setattr("stages.tasks.speech.parquet._ROWS", 3)
    texts = [str(number) for number in range(10)]
    columns = {"audio": ["train/0.wav"] * 10, "text": texts}
    pyarrow.parquet.write_table(pyarrow.table(columns), source / "a.parquet")
    assert read_examples(source / "a.parquet").texts == texts
