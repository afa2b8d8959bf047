"""What Git holds of a folder, and the MD5 sums that DVC gives to it."""

import hashlib
import json
import posixpath
import subprocess
from collections.abc import Iterable
from pathlib import Path

from stages.core.errors import InputError


def md5(content: bytes) -> str:
    """As hexadecimal digits."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Tracked:
    """Files of a folder that Git holds, or would hold: what is not ignored.

    Of a folder that is in no repository it is every file.

    Args:
        folder: paths are relative to it.
        paths: files and folders that will be asked for.
    """

    def __init__(self, folder: Path, paths: Iterable[str]):
        self.folder = folder
        top = self._git("rev-parse", "--show-toplevel")
        self.files: set[str] | None = None
        if top is None:
            return
        root = Path(top.rstrip("\n")).resolve()
        within = [path for path in paths if self._absolute(path).is_relative_to(root)]
        if not within:
            self.files = set()
            return
        listing = ("ls-files", "-z", "--cached", "--others")
        held = self._list(*listing, "--exclude-standard", "--", *within)
        # What DVC leaves out of a folder, though Git has it.
        left_out = ("--ignored", "--exclude-per-directory=.dvcignore")
        self.files = held - self._list(*listing, *left_out, "--", *within)

    def _absolute(self, path: str) -> Path:
        absolute = self.folder.resolve() / path
        return absolute.parent.resolve() / absolute.name

    def _git(self, *arguments: str) -> str | None:
        line = ["git", "--literal-pathspecs", *arguments]
        try:
            done = subprocess.run(line, cwd=self.folder, capture_output=True)
        except OSError as error:
            raise InputError(f"git does not run: {error.strerror}; install it") from None
        return None if done.returncode else done.stdout.decode("utf-8", "surrogateescape")

    def _list(self, *arguments: str) -> set[str]:
        found = self._git(*arguments) or ""
        return {posixpath.normpath(name) for name in found.split("\0") if name}

    def digest(self, path: str) -> str | None:
        """The MD5 sum that DVC gives to a file or folder; None if Git holds nothing of it.

        Raises:
            InputError: it cannot be read.
        """
        here = self.folder / path
        try:
            if here.is_file():
                return md5(here.read_bytes()) if self._holds(path) else None
            listed = [
                {"md5": md5((self.folder / name).read_bytes()), "relpath": name[len(path) + 1 :]}
                for name in self._below(path)
            ]
        except OSError as error:
            raise InputError(f"{path}: not readable: {error.strerror}") from None
        if not listed:
            return None
        # The rule of DVC's folders: https://github.com/iterative/dvc-data
        listed.sort(key=lambda entry: entry["relpath"])
        return md5(json.dumps(listed, sort_keys=True).encode()) + ".dir"

    def _holds(self, path: str) -> bool:
        return self.files is None or path in self.files

    def _below(self, path: str) -> list[str]:
        if self.files is None:
            found = (file for file in (self.folder / path).rglob("*") if file.is_file())
            return [file.relative_to(self.folder).as_posix() for file in found]
        return [
            name
            for name in self.files
            if name.startswith(f"{path}/") and (self.folder / name).is_file()
        ]
