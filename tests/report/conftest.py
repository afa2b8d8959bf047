"""The project that the report's tests describe."""

import subprocess

import pytest
from support.made_up_run import write_state


@pytest.fixture
def project(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text("/results/\n/data/\n/runs/\n/clip.flac\n")
    write_state(tmp_path, 0.9, [3, 2])
    git("add", "-A")
    git("commit", "-q", "-m", "base")
    write_state(tmp_path, 0.75, [3, 2, 1])
    return tmp_path
