"""Shards: what is found, every row from any place on, and what is refused."""

import bz2
import gzip
import json
import lzma
import os
import time
from types import SimpleNamespace

import datasets
import fsspec
import pytest
from support import toy_shards
from support.loopback import serve

from stages.core.errors import InputError
from stages.data import find_shards as find_shards_module
from stages.data import shard_rows
from stages.data import shards as module
from stages.data.find_shards import find_shards, shown
from stages.data.shard_rows import START, Position, kind_of

ROWS = list(toy_shards.rows_of("glue", 25))


def read(found) -> list[dict]:
    return [row for row, _ in found.rows()]


def write(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@pytest.mark.parametrize("kind", [".jsonl", ".parquet", ".gz", ".bz2", ".xz"])
def test_from_every_row_on_the_rest_is_the_same(tmp_path, kind):
    folder = toy_shards.write_shards(
        tmp_path / "shards", ROWS, 11, kind if kind == ".parquet" else ".jsonl"
    )
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(kind)
    for path in [*folder.iterdir()] if pack else []:
        path.with_name(f"{path.name}{kind}").write_bytes(pack(path.read_bytes()))
        path.unlink()
    found = find_shards(str(folder), "train_file")
    assert read(found) == ROWS
    for count in range(len(ROWS) + 1):
        rows = found.rows()
        for _ in range(count):
            next(rows)
        position = json.loads(json.dumps(found.position)) if count else START
        rest = [row for row, _ in found.rows(Position(*position))]
        assert rest == ROWS[count:]
    # A second time, from the start.
    assert read(found) == ROWS


def test_places_name_shard_and_line(tmp_path):
    folder = write(tmp_path / "shards", "b.jsonl", '\ufeff{"a": 1}\n\n \n{"a": 2}\n')
    write(tmp_path / "shards", "c.jsonl", '{"a": 3}')
    found = find_shards(folder, "train_file")
    lines = [(row["a"], place.removeprefix(f"{folder}/")) for row, place in found.rows()]
    assert lines == [(1, "b.jsonl, line 1"), (2, "b.jsonl, line 4"), (3, "c.jsonl, line 1")]


def test_what_is_found(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "_a.jsonl", ".a.jsonl", "README.md", "_SUCCESS"):
        write(tmp_path / "x", name, "{}\n")
    (tmp_path / "x" / "y").mkdir()
    write(tmp_path / "x" / "y", "c.JSON", "{}\n")
    folder = str(tmp_path / "x")

    def names(given):
        return [name.removeprefix(f"{folder}/") for name in find_shards(given, "f").names]

    assert names(folder) == ["a.jsonl", "b.jsonl", "y/c.JSON"]
    assert names(f"{folder}/?.jsonl") == ["a.jsonl", "b.jsonl"]
    assert names(f"{folder}/**/c.*") == ["y/c.JSON"]
    assert names(f"{folder}/b.jsonl") == ["b.jsonl"]
    kinds = {"a.json.gz": ".jsonl", "a.csv": None, "gz": None, "a.parquet.gz": None}
    for name, kind in {**kinds, "A.PARQUET": ".parquet"}.items():
        assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nothing", "--train_file nothing: no files there"),
        ("*.parquet", "no files there; expected shards .parquet, .json"),
        ("ftp://a/b", "ftp:// is not read; expected a path or s3, gs"),
        ("s3://bucket/rows", "needs the package s3fs; pip install s3fs"),
        ("http://127.0.0.1:9/rows.jsonl", r"http://127.0.0.1:9/rows.jsonl: cannot be reached"),
        ("http://me:secret@127.0.0.1:9/x/?key=1", "http://127.0.0.1:9/x/: no files there"),
    ],
)
def test_what_cannot_be_found(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)

    def missing(name, **options):
        raise ImportError(f"Install {name}fs")

    if given.startswith("s3"):  # it may be installed, for the cache
        monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(InputError, match=message) as error:
        find_shards(given, "train_file")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "a,b\n", "unknown kind of shard; a stream is read from .parquet, .json"),
        ("a.jsonl", "[1]\n", r"a.jsonl, line 1: expected an object"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "a.jsonl, line 1: not UTF-8"),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "a.jsonl, line 1: .*twice|given"),
        ("a.jsonl.gz", "{}\n", "a.jsonl.gz: cannot be read"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 999, mtime=0)[:-20],
            "a.jsonl.gz: cannot be read",
        ),
        ("a.parquet", "{}\n", "a.parquet: no Parquet file"),
        ("a.parquet", "", "a.parquet: no Parquet file"),
    ],
)
def test_shards_that_are_refused(tmp_path, name, content, message):
    write(tmp_path, name, content)
    with pytest.raises(InputError, match=message):
        read(find_shards(str(tmp_path / name), "train_file"))


def test_several_kinds_and_a_damaged_page(tmp_path):
    folder = toy_shards.write_shards(tmp_path / "x", ROWS, 11, ".parquet")
    path = folder / "part-001.parquet"
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"part-001.parquet: cannot be read"):
        read(find_shards(str(folder), "train_file"))
    write(tmp_path / "x", "a.jsonl", "{}")
    with pytest.raises(InputError, match="shards of several kinds"):
        find_shards(str(folder), "train_file")


def test_a_shard_that_changes_is_refused_and_digests_differ(tmp_path):
    folder = toy_shards.write_shards(tmp_path / "x", ROWS, 11)
    found = find_shards(str(folder), "train_file")
    assert found.digest() == find_shards(str(folder), "train_file").digest()
    rows = found.rows()
    next(rows)
    time.sleep(0.01)
    with (folder / "part-002.jsonl").open("a") as file:
        file.write('{"sentence": "a", "label": "same"}\n')
    with pytest.raises(InputError, match=r"part-002.jsonl: has changed since this run"):
        list(rows)
    again = find_shards(str(folder), "train_file")
    assert again.digest() != found.digest()
    assert again.contents_digest() != found.contents_digest()
    size = (folder / "part-000.jsonl").stat().st_mtime + 5
    os.utime(folder / "part-000.jsonl", (size, size))
    touched = find_shards(str(folder), "train_file")
    assert touched.digest() != again.digest()
    assert touched.contents_digest() == again.contents_digest()


def test_names_of_classes(tmp_path):
    features = datasets.Features({
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["no", "yes"]),
        "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-X"])),
    })  # fmt: skip
    rows = {"text": ["a", "b"], "label": [1, -1], "tags": [[0, 1], []]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    found = find_shards(str(tmp_path), "train_file")
    assert found.classes == {"label": ["no", "yes"], "tags": ["O", "B-X"]}
    assert [row for row, _ in found.named_rows()] == [
        {"text": "a", "label": "yes", "tags": ["O", "B-X"]},
        {"text": "b", "label": "-1", "tags": []},
    ]
    schema = features.arrow_schema
    toy_shards.write_shards(
        tmp_path / "bad", [{"text": "a", "label": 2, "tags": []}], 1, ".parquet", schema
    )
    with pytest.raises(InputError, match=r"row 1: the class is 2; there are 2 classes"):
        list(find_shards(str(tmp_path / "bad"), "train_file").named_rows())


@pytest.fixture
def server(tmp_path):
    """Shards of both kinds behind an address, each in a folder with a list of links."""
    plain = {}
    for kind in (".jsonl", ".parquet"):
        folder = toy_shards.write_shards(tmp_path / kind[1:], ROWS, 11, kind)
        names = sorted(path.name for path in folder.iterdir())
        links = "".join(f'<a href="{name}">{name}</a>' for name in names)
        plain[f"/{kind[1:]}/"] = links.encode()
        plain |= {f"/{kind[1:]}/{name}": (folder / name).read_bytes() for name in names}
    with serve(plain=plain) as server:
        yield server


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_behind_an_address(server, kind, monkeypatch, capsys):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for given in (f"/{kind}/", f"/{kind}/*.{kind}"):
        found = find_shards(server.address + given, "train_file")
        assert len(found.names) == 3
        assert read(found) == ROWS
    one = find_shards(f"{server.address}/{kind}/part-001.{kind}", "train_file")
    assert read(one) == ROWS[11:22]
    rows = one.rows()
    next(rows)
    assert [row for row, _ in one.rows(one.position)] == ROWS[12:22]
    # A server that is busy is asked again; one that stays so ends the run with one line.
    waits = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    server.failing[f"/{kind}/part-001.{kind}"] = 3
    assert read(one) == ROWS[11:22]
    assert waits
    assert "asked again" in capsys.readouterr().out
    server.failing[f"/{kind}/part-001.{kind}"] = 1000
    with pytest.raises(InputError, match=rf"part-001.{kind}: cannot be read"):
        read(one)
    server.failing.clear()
    digest = one.digest()
    server.plain[f"/{kind}/part-001.{kind}"] = server.plain[f"/{kind}/part-000.{kind}"]
    with pytest.raises(InputError, match="has changed"):
        read(one)
    again = find_shards(f"{server.address}/{kind}/part-001.{kind}", "train_file")
    assert again.digest() != digest
    del server.plain[f"/{kind}/part-001.{kind}"]
    with pytest.raises(InputError, match=rf"part-001.{kind}: cannot be re"):
        find_shards(f"{server.address}/{kind}/part-001.{kind}", "train_file")
    with pytest.raises(InputError, match="no files there"):
        find_shards(f"{server.address}/{kind}/*.txt", "train_file")


def test_behind_any_file_system_of_fsspec(monkeypatch, tmp_path):
    monkeypatch.setitem(find_shards_module.SCHEMES, "memory", "fsspec")
    folder = toy_shards.write_shards(tmp_path / "x", ROWS, 11, ".parquet")
    store = fsspec.filesystem("memory")
    for path in folder.iterdir():
        store.pipe(f"/bucket/a/{path.name}", path.read_bytes())
    store.pipe("/bucket/a/_SUCCESS", b"")
    for given in ("memory://bucket/a", "memory://bucket/a/*.parquet", "memory://bucket/"):
        found = find_shards(given, "train_file")
        assert read(found) == ROWS
        assert found.names[0].endswith("bucket/a/part-000.parquet")
        assert found.names[0].startswith("memory://")
    with pytest.raises(InputError, match="--train_file memory://bucket/b: no files there"):
        find_shards("memory://bucket/b", "train_file")


def test_addresses_are_shown_without_secrets():
    assert shown("https://me:it@host/a/b.parquet?X-Signature=1") == "https://host/a/b.parquet"
    assert shown("s3://bucket/a/*.parquet") == "s3://bucket/a/*.parquet"


def test_large_row_groups_are_read_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_rows, "CHUNK", 4)
    folder = toy_shards.write_shards(tmp_path / "x", [{"a": n} for n in range(50)], 30, ".parquet")
    found = find_shards(str(folder), "train_file")
    for count in range(1, 50):
        rows = found.rows()
        for _ in range(count):
            next(rows)
        assert [row["a"] for row, _ in found.rows(found.position)] == list(range(count, 50))


def hub_set(name):
    return SimpleNamespace(
        dataset_name=str(name), dataset_config_name=None, dataset_revision=None, token=None,
        cache_dir=None,
    )  # fmt: skip


def test_data_sets_in_the_form_of_the_hub(tmp_path):
    write(tmp_path / "it", "train-1.jsonl", '{"a": 1}\n')
    write(tmp_path / "it", "train-0.jsonl", '{"a": 0}\n')
    write(tmp_path / "it", "test.jsonl", '{"a": 2}\n')
    found = find_shards_module.hub_shards(hub_set(tmp_path / "it"), "train")
    assert read(found) == [{"a": 0}, {"a": 1}]
    assert found.names == ["train-0.jsonl", "train-1.jsonl"]
    with pytest.raises(InputError, match="split all: no such split; there are train, test"):
        find_shards_module.hub_shards(hub_set(tmp_path / "it"), "all")
    write(tmp_path / "csv", "train.csv", "a,b\n")
    with pytest.raises(InputError, match=r"train.csv is no shard .*refs/convert/parquet"):
        find_shards_module.hub_shards(hub_set(tmp_path / "csv"), "train")
    with pytest.raises(InputError, match="cannot be loaded"):
        find_shards_module.hub_shards(hub_set("owner/none"), "train")
    with pytest.raises(InputError, match="--dataset_name owner/a/b"):
        find_shards_module.hub_shards(hub_set("owner/a/b"), "train")
