"""Files and folders appear complete under their names, or not at all."""

import argparse
import errno
import json
import os
import tempfile
from pathlib import Path

import pytest
from support import scripts
from support.paths import ROOT

from stages.core.errors import InputError
from stages.core.files import (
    atomic_file,
    atomic_files,
    atomic_folder,
    home_folder,
    inside,
    scratch_file,
    user_cache,
    write_json,
    write_json_lines,
    write_json_object,
    write_text,
)
from stages.data.hub import cache_folder
from stages.training.devices import use_compile_cache


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_the_one_before(tmp_path):
    path = tmp_path / "made" / "a.txt"
    write_text(path, "one\n")
    write_text(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("filename", [None, "the temporary file"])
def test_a_failed_file_leaves_the_one_before(tmp_path, filename):
    path = tmp_path / "a.txt"
    write_text(path, "one\n")

    def fill(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), filename and str(temporary))

    with pytest.raises(OSError, match="No space") as caught, atomic_file(path) as temporary:
        fill(temporary)
    assert caught.value.filename == str(path)
    assert path.read_text() == "one\n"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(OSError, match="gone") as caught, atomic_file(tmp_path / "a.txt"):
        raise OSError(errno.ENOENT, "gone", "source.txt")
    assert caught.value.filename == "source.txt"


ITEMS = {
    "a": "two\nlines",
    'quoted "b"': [{"text": "ß\u2028", "probability": 0.1}, {}, []],
    "": {"deep": {"er": [1, None, True]}},
    "last": 1e-7,
}


@pytest.mark.parametrize("content", [{}, {"a": []}, {"a": {}}, ITEMS])
def test_an_object_entry_by_entry_is_the_object_at_once(tmp_path, content):
    write_json_object(tmp_path / "entries", iter(content.items()))
    write_json(tmp_path / "object", content)
    expected = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    assert (tmp_path / "entries").read_bytes() == expected.encode()
    assert (tmp_path / "object").read_bytes() == expected.encode()


def test_lines_row_by_row(tmp_path):
    write_json_lines(tmp_path / "rows", ({"a": f"{n}\nß"} for n in range(2)))
    assert (tmp_path / "rows").read_bytes() == '{"a": "0\\nß"}\n{"a": "1\\nß"}\n'.encode()
    write_json_lines(tmp_path / "rows", [])
    assert (tmp_path / "rows").read_bytes() == b""


@pytest.mark.parametrize(
    ("write", "row"), [(write_json_lines, {"a": 1}), (write_json_object, ("a", 1))]
)
@pytest.mark.parametrize("before", [None, "one\n"])
def test_rows_that_fail_in_the_middle_leave_the_file_before(tmp_path, write, row, before):
    path = tmp_path / "rows"
    if before:
        write_text(path, before)

    def rows():
        yield row
        assert names(tmp_path)  # it is being written
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write(path, rows())
    assert names(tmp_path) == (["rows"] if before else [])
    assert not before or path.read_text() == before


def test_an_object_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_object(tmp_path / "a", [("a", 1.0), ("b", float("nan"))])
    assert names(tmp_path) == []


def test_a_scratch_file_is_in_the_cache_and_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with scratch_file() as file:
        assert os.fstat(file.fileno()).st_dev == tmp_path.stat().st_dev
        place = Path(os.readlink(f"/proc/self/fd/{file.fileno()}"))
        assert place.parent == tmp_path / "flaxmill/scratch"
        assert names(place.parent) == []
        file.write(b"row")
        file.seek(0)
        assert file.read() == b"row"


@pytest.mark.parametrize("cache", ["a file", None])
def test_a_scratch_file_where_the_cache_cannot_be_written(tmp_path, monkeypatch, cache, nobody):
    if cache:
        (tmp_path / cache).touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with scratch_file() as file:
        place = Path(os.readlink(f"/proc/self/fd/{file.fileno()}"))
    assert place.parent == tmp_path / "tmp"


@pytest.mark.parametrize("options", [{}, {"sync": True}])
def test_a_folder_replaces_the_one_before(tmp_path, options):
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "out", **options) as temporary:
            assert not names(temporary)
            (temporary / text).mkdir()
            (temporary / text / "a").write_text(text)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["two"]


def test_a_failed_folder_leaves_the_one_before(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").touch()

    def interrupt(temporary):
        (temporary / "b").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out") as temporary:
        interrupt(temporary)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "half").touch()
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "whole").touch()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["whole"]


def test_files_replace_those_of_their_names_and_no_link_is_written_through(tmp_path):
    cached, folder = tmp_path / "cached", tmp_path / "model"
    folder.mkdir()
    cached.write_text("old")
    os.link(cached, folder / "hard")
    (folder / "soft").symlink_to(cached)
    (folder / "other").write_text("other")
    with atomic_files(folder) as part:
        for name in ("hard", "soft", "deep/new"):
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text("new")
    assert cached.read_text() == "old"
    assert {(folder / name).read_text() for name in ("hard", "soft", "deep/new")} == {"new"}
    assert (folder / "other").read_text() == "other"
    assert names(folder) == ["deep", "hard", "other", "soft"]


def test_files_that_failed_leave_those_before(tmp_path):
    (tmp_path / "a").write_text("old")

    def fill(part):
        (part / "a").write_text("new")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"), atomic_files(tmp_path) as part:
        fill(part)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.fixture
def shelf(tmp_path):
    """A folder with a file and links, beside what it must not give away."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "data-2").mkdir()
    for name in ("secret", "data-2/secret", "data/a.txt", "data/deep/b.txt"):
        (tmp_path / name).write_text(name)
    (folder / "within").symlink_to("deep/b.txt")
    (folder / "file-out").symlink_to("../secret")
    (folder / "folder-out").symlink_to(tmp_path)
    return folder


@pytest.mark.parametrize("name", ["a.txt", "deep/b.txt", "deep/../a.txt", "within", "new", "..a"])
def test_a_path_inside(shelf, name):
    assert inside(shelf, name) == shelf / name


@pytest.mark.parametrize(
    "name",
    ["../secret", "deep/../../secret", "..", "/etc/passwd", "file-out", "folder-out/secret",
     "../data-2/secret", "folder-out/new"],
)  # fmt: skip
def test_a_path_outside_is_refused(shelf, name):
    with pytest.raises(InputError, match=r"^'.*' is outside .*data; name a file in it$"):
        inside(shelf, name)


def test_a_folder_that_is_a_link_itself_may_be_named(shelf, tmp_path):
    (tmp_path / "link").symlink_to(shelf)
    assert inside(tmp_path / "link", "a.txt") == tmp_path / "link" / "a.txt"
    with pytest.raises(InputError, match="outside"):
        inside(tmp_path / "link", "../secret")


def test_an_absolute_path_into_the_folder_is_inside(shelf):
    assert inside(shelf, shelf / "a.txt") == shelf / "a.txt"


def test_a_zero_byte_is_no_path(shelf):
    with pytest.raises(InputError, match=r"^'a\\x00b' is no path"):
        inside(shelf, "a\0b")


@pytest.fixture
def nobody(monkeypatch):
    """A user whom the system does not know, without HOME."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.parametrize(
    "ask",
    [
        home_folder,
        user_cache,
        use_compile_cache,
        lambda: cache_folder(argparse.Namespace(cache_dir=None)),
    ],
)
def test_without_a_home_one_line_says_so(ask, nobody):
    with pytest.raises(InputError, match=r"^HOME is not set, and user \d+ has no folder; set HOME"):
        ask()


def test_a_named_cache_needs_no_home(nobody, monkeypatch, tmp_path):
    assert cache_folder(argparse.Namespace(cache_dir=str(tmp_path))) == tmp_path / "flaxmill"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "flaxmill"


@pytest.mark.parametrize("command", ["pipeline.check", "pipeline.repro", "pipeline.push"])
def test_the_pipeline_is_refused_before_dvc_asks_for_a_home(command, nobody, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert scripts.refused(command).startswith("error: HOME is not set")
