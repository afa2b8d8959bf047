"""A Git repository of a test's own, with DVC in it, untouched by the user's settings."""

import os
import subprocess
import sys
from pathlib import Path


class Repository:
    """Git, DVC and any command in `folder`, all with the same environment."""

    def __init__(self, folder: Path, **environment: str):
        self.folder = folder
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
        }
        outside = {f"GIT_CONFIG_{where}": os.devnull for where in ("GLOBAL", "SYSTEM")}
        self.environment = {**os.environ, **outside, **identity, **environment}

    def call(self, *line: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(
            line,
            cwd=self.folder,
            env=self.environment,
            check=check,
            capture_output=True,
            text=True,
        )

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.call("git", *arguments, check=check)

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.call(sys.executable, "-m", "dvc", *arguments, check=check)

    def make_python(self) -> None:
        """This Python as that of `.venv`, which make's commands take."""
        python = self.folder / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
