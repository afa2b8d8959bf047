"""What another clone pushed, and what `make repro` takes of it. The remote is a folder."""

import os
import shutil
import sys

import pytest
from support import small_pipeline
from support.repository import Repository

TRAIN = "data/newsroom/text/train.txt"
# The `python` of a clone whose owner forges what the newsroom wrote.
FORGER = """#!/bin/sh
"{python}" "$@" || exit
case "$*" in *stages.newsroom\\ *) echo forged >> {file} ;; esac
"""


class Clone(Repository):
    """A clone of the small pipeline, with the commands of its Makefile."""

    def __init__(self, folder, remote):
        super().__init__(folder, PYTHONPATH=str(folder), DVC_NO_ANALYTICS="1")
        if not (folder / ".venv").exists():
            self.make_python()
        self.make("remote", f"URL={remote}")

    def make(self, *words: str, check: bool = True):
        return self.call("make", "-o", "setup", "-o", "drivers", *words, check=check)


@pytest.fixture
def clones(tmp_path):
    """Two clones of one commit in which nothing has run, and the remote that they share."""
    project = small_pipeline.make_project(tmp_path / "a")
    shutil.copytree(project, tmp_path / "b")
    remote = tmp_path / "remote"
    remote.mkdir()
    return Clone(project, remote), Clone(tmp_path / "b", remote), remote


def forge(clone: Clone) -> None:
    """Run the newsroom, change what it wrote, and share that as its run."""
    tools = clone.folder / "runs/tools"
    tools.mkdir(parents=True)
    (tools / "python").write_text(FORGER.format(python=sys.executable, file=TRAIN))
    (tools / "python").chmod(0o755)
    clone.environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    clone.dvc("repro", "newsroom")
    clone.dvc("push", "--run-cache", "newsroom")


@pytest.mark.slow(seconds=25)
def test_a_run_that_no_commit_records_is_run_here(clones):
    first, second, _ = clones
    forge(first)
    assert "forged" in (first.folder / TRAIN).read_text()
    done = second.make("repro", "JOBS=1", "ARGS=--pull --allow-missing newsroom")
    assert "Running stage 'newsroom'" in done.stdout
    assert "forged" not in (second.folder / TRAIN).read_text()


@pytest.mark.slow(seconds=25)
def test_an_object_that_is_not_what_the_lock_records_is_refused(clones):
    first, second, remote = clones
    first.dvc("repro", "newsroom")
    first.dvc("push", "newsroom")
    shutil.copy(first.folder / "dvc.lock", second.folder)
    text = (first.folder / TRAIN).read_bytes()
    (there,) = [path for path in remote.rglob("*") if path.is_file() and path.read_bytes() == text]
    there.chmod(0o644)
    there.write_bytes(text + b"forged\n")
    done = second.dvc("pull", "newsroom", check=False)
    assert done.returncode != 0
    assert not (second.folder / TRAIN).exists()
    there.write_bytes(text)
    second.dvc("pull", "newsroom")
    assert (second.folder / TRAIN).read_bytes() == text
