"""Files and folders appear complete under their names, or not at all."""

import errno
import os

import pytest

from stages.core.files import atomic_file, atomic_folder, write_text


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


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"sync": True}])
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
