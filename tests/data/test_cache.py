"""Stores that are kept: made once, whole or not at all, shared, pruned."""

import errno
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest

from stages.core.checksums import file_checksum
from stages.core.errors import InputError
from stages.data import cache as caches
from stages.data.cache import RowCache
from stages.data.writer import text_array

# A process that makes an entry slowly: it says so, and ends it once `go` is there.
SLOW = """
    import sys, time
    from pathlib import Path
    from stages.data.cache import RowCache
    from stages.data.writer import text_array

    folder = Path(sys.argv[1])

    def build(writer):
        writer.write({"text": text_array(["from " + sys.argv[2]])})
        print("making", flush=True)
        while not (folder / "go").exists():
            time.sleep(0.01)

    store = RowCache(folder).get("toy", {"a": 1}, build)
    print(store.column("text")[0], flush=True)
"""


def start(folder, name):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW), str(folder), name],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def made(tmp_path):
    """`made(inputs)`: the text of an entry, and whether it was made now."""
    count = 0

    def get(inputs, **options):
        before = count

        def build(writer):
            nonlocal count
            count += 1
            writer.write({"text": text_array([str(inputs)])})
            return {"rows": 1}

        store = RowCache(tmp_path, **options).get("toy", inputs, build)
        assert store.metadata == {"rows": 1}
        assert store.column("text") == [str(inputs)]
        return count > before

    return get


def entries(folder):
    return sorted(path.name for path in (folder / "rows").iterdir() if path.is_dir())


def test_made_once(made, tmp_path):
    assert made({"a": 1})
    assert not made({"a": 1})
    assert made({"a": 2})
    assert not made({"a": 1})
    assert made({"a": 1}, overwrite=True)
    assert len(entries(tmp_path)) == 2


def test_the_checksum_of_a_new_entry_is_computed_once(made, monkeypatch):
    read = []

    def counted(path):
        read.append(Path(path).name)
        return file_checksum(path)

    monkeypatch.setattr(caches, "file_checksum", counted)
    assert made({"a": 1})
    assert read == [caches.ROWS]
    assert not made({"a": 1})
    assert read == [caches.ROWS] * 2


def test_other_code_makes_anew(made, monkeypatch):
    assert made({"a": 1})
    monkeypatch.setattr(caches, "_code", lambda: ["other"])
    assert made({"a": 1})


def test_code_that_is_named_alone_counts(tmp_path, monkeypatch):
    module, count = ModuleType("toy"), 0
    module.__file__ = str(tmp_path / "toy.py")

    def build(writer):
        nonlocal count
        count += 1
        writer.write({"text": text_array(["a"])})

    for text in ("one", "two", "one"):
        (tmp_path / "toy.py").write_text(text)
        monkeypatch.setattr(caches, "_code", lambda text=text: [text, count])
        RowCache(tmp_path).get("toy", {}, build, [module])
    assert count == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows, manifest: rows.write_bytes(rows.read_bytes()[:-9]),
        lambda rows, manifest: rows.write_bytes(rows.read_bytes().replace(b"1}", b"2}")),
        lambda rows, manifest: rows.write_bytes(b""),
        lambda rows, manifest: manifest.write_text("{"),
        lambda rows, manifest: manifest.write_text("[]"),
        lambda rows, manifest: manifest.write_text("{}"),
    ],
    ids=["cut short", "changed", "empty", "no JSON", "a list", "no checksum"],
)
def test_damaged_is_made_anew(made, tmp_path, capsys, damage):
    made({"a": 1})
    (folder,) = (tmp_path / "rows").glob("toy-*")
    damage(folder / caches.ROWS, folder / caches.MANIFEST)
    assert made({"a": 1})
    assert re.search(r"toy-\w+: damaged \(.*\), made again\n", capsys.readouterr().out)
    assert not made({"a": 1})


def test_without_its_rows(made, tmp_path):
    made({"a": 1})
    next((tmp_path / "rows").glob(f"*/{caches.ROWS}")).unlink()
    assert made({"a": 1})


def test_nothing_half_made(tmp_path):
    def build(writer):
        writer.write({"text": text_array(["a"])})
        raise InputError("row 7 is wrong")

    for _ in range(2):
        with pytest.raises(InputError, match="row 7 is wrong"):
            RowCache(tmp_path).get("toy", {}, build)
        assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_text("two"), r"a\.txt: changed while it was read; wait until"),
        (lambda path: path.unlink(), r"a\.txt: no such file or directory"),
    ],
    ids=["changed", "removed"],
)
def test_a_file_that_changes_is_not_kept(tmp_path, change, message):
    path = tmp_path / "a.txt"
    path.write_text("one")

    def build(writer):
        change(path)
        writer.write({"text": text_array(["a"])})

    with pytest.raises(InputError, match=message):
        RowCache(tmp_path).file_rows("toy", path, {}, build)
    assert entries(tmp_path) == []


def test_full_disk(tmp_path):
    def build(writer):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        InputError,
        match=r"rows: rows cannot be kept there \(no space left on device\); make room, or name "
        "another folder with --cache_dir",
    ):
        RowCache(tmp_path).get("toy", {}, build)
    assert entries(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(made, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert made({"a": 1})
    tmp_path.chmod(0o700)
    assert "cannot be written: rows are kept for this run alone" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written(made, tmp_path, capsys, monkeypatch):
    def refused(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refused)
    assert made({"a": 1})
    assert "rows are kept for this run alone; name another folder" in capsys.readouterr().out
    assert not (tmp_path / "rows").exists()


def test_what_is_there_is_read_without_writing(made, monkeypatch):
    made({"a": 1})

    def refused(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refused)
    monkeypatch.setattr(Path, "touch", refused)
    assert not made({"a": 1})


def test_two_processes_make_one(tmp_path):
    first = start(tmp_path, "first")
    assert first.stdout.readline() == "making\n"
    second = start(tmp_path, "second")
    assert second.stdout.readline().startswith("waiting for another process that makes")
    (tmp_path / "go").touch()
    assert first.communicate(timeout=60)[0] == "from first\n"
    assert second.communicate(timeout=60)[0] == "from first\n"


def test_killed_while_it_makes(tmp_path):
    first = start(tmp_path, "first")
    assert first.stdout.readline() == "making\n"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "go").touch()
    assert start(tmp_path, "second").communicate(timeout=60)[0] == "making\nfrom second\n"
    assert len([path for path in (tmp_path / "rows").iterdir() if path.is_dir()]) == 1


def test_what_a_killed_process_left_is_removed_with_the_next_entry(made, tmp_path):
    process = start(tmp_path, "killed")
    assert process.stdout.readline() == "making\n"
    (left,) = entries(tmp_path)
    assert made({"b": 1})
    assert left in entries(tmp_path)  # it is still being made
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert made({"b": 2})
    assert len(entries(tmp_path)) == 2
    assert not list((tmp_path / "rows").glob(f"{Path(left).stem}.*"))


def test_pruned_by_age(made, tmp_path):
    made({"a": 1})
    made({"a": 2})
    long_ago = time.time() - 86_400 * (caches.UNUSED_DAYS + 1)
    for manifest in (tmp_path / "rows").glob(f"*/{caches.MANIFEST}"):
        os.utime(manifest, (long_ago, long_ago))
    assert not made({"a": 2})  # used now
    made({"a": 3})
    assert len(entries(tmp_path)) == 2
    assert made({"a": 1})


def test_pruned_by_size(made, tmp_path, monkeypatch):
    for number in range(3):
        made({"a": number})
    manifests = list((tmp_path / "rows").glob(f"*/{caches.MANIFEST}"))
    monkeypatch.setattr(caches, "MOST_BYTES", 0)
    made({"a": 3})
    assert len(entries(tmp_path)) == 4  # all of the last day
    for age, manifest in enumerate(manifests, start=2):
        used = time.time() - 86_400 * age
        os.utime(manifest, (used, used))
    size = sum(file.stat().st_size for file in (tmp_path / "rows").rglob("*") if file.is_file())
    monkeypatch.setattr(caches, "MOST_BYTES", size * 0.9)
    made({"a": 4})
    left = set(entries(tmp_path))
    # Those unused longest went first.
    assert manifests[0].parent.name in left
    assert manifests[2].parent.name not in left
