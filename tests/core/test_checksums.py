"""Checksums of files: right whatever happened since the last one, and computed once if nothing."""

import hashlib
import os

import pytest

from stages.core import checksums
from stages.core.checksums import path_checksum


@pytest.fixture
def read(monkeypatch):
    """The files that were read, in order."""
    paths = []

    def file_checksum(path, compute=checksums.file_checksum):
        paths.append(str(path))
        return compute(path)

    monkeypatch.setattr(checksums, "file_checksum", file_checksum)
    return paths


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(tmp_path, monkeypatch, read):
    monkeypatch.setattr(checksums, "CLOCK_TICK", 0)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    assert path_checksum(path) == path_checksum("a.txt") == digest_of(b"one")
    assert read == [str(path)]


def test_another_content_is_noticed(tmp_path, monkeypatch, read):
    monkeypatch.setattr(checksums, "CLOCK_TICK", 0)
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    before = path.stat()
    assert path_checksum(path) == digest_of(b"one")
    # As a copy that keeps the time of the original.
    (tmp_path / "b.txt").write_bytes(b"two")
    os.utime(tmp_path / "b.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "b.txt").rename(path)
    assert path_checksum(path) == digest_of(b"two")
    path.write_bytes(b"more")
    assert path_checksum(path) == digest_of(b"more")
    assert len(read) == 3


def test_a_file_just_written_may_change_within_a_tick(tmp_path, read):
    path = tmp_path / "a.txt"
    for content in (b"one", b"two", b"six"):
        path.write_bytes(content)
        assert path_checksum(path) == digest_of(content)
    assert len(read) == 3


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        path_checksum(tmp_path / "a.txt")
