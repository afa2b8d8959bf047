"""Files and folders appear complete under their names, or not at all."""

import errno
import os

import pytest

from stages.core.errors import InputError
from stages.core.files import atomic_file, atomic_folder, inside, write_text


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
