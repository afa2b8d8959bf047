"""Files as they were at the Git revision that a branch is compared with."""

import argparse
import subprocess
from pathlib import Path

from stages.core.errors import InputError, quoted

DEEPEN = "git fetch --unshallow (in GitHub Actions: actions/checkout with fetch-depth: 0)"


def parse_options(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Parse `argv` with the options that say where the run is and what to compare it with."""
    parser.add_argument("--base", metavar="REV", help="compare with this Git revision")
    parser.add_argument(
        "--merge-base", action="store_true", help="compare with where HEAD branched off the base"
    )
    parser.add_argument(
        "--repo-dir", type=Path, default=Path(), help="the folder with params.yaml (default: .)"
    )
    options = parser.parse_args(argv)
    if options.merge_base and options.base is None:
        parser.error("--merge-base needs --base REV")
    return options


class Base:
    """Files of `folder` at a Git revision.

    Args:
      folder: in the working tree; names that are read are relative to it.
      rev: any name of a commit.
      fork: take the commit at which HEAD left `rev` instead of `rev` itself, so that what others
        merged since is not held against this branch.

    Raises:
      InputError: there is no such commit here; says how to get it.
    """

    def __init__(self, folder: Path, rev: str, *, fork: bool = False):
        self.folder = folder
        self.rev = rev
        found = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"
        )
        if found.returncode:
            raise InputError(f"--base {rev}: {self._why_missing()}")
        self.commit = found.stdout.decode().strip()
        if fork:
            found = self._git("merge-base", self.commit, "HEAD")
            if found.returncode:
                reason = "shares no commit with HEAD"
                if self._shallow():
                    reason = f"where HEAD left it is not in this shallow clone; run {DEEPEN}"
                raise InputError(f"--base {rev} --merge-base: {reason}")
            self.commit = found.stdout.decode().strip()
            self.rev = self.commit[:10]

    def _git(self, *arguments: str) -> subprocess.CompletedProcess:
        try:
            return subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True)
        except OSError as error:
            raise InputError(f"--base {self.rev}: git does not run: {error.strerror}") from None
        except ValueError as error:  # a NUL, or half an emoji, in a name out of a file
            raise InputError(f"--base {self.rev}: {quoted(arguments[-1])}: {error}") from None

    def _shallow(self) -> bool:
        return self._git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _why_missing(self) -> str:
        inside = self._git("rev-parse", "--git-dir")
        if inside.returncode:
            return " ".join(inside.stderr.decode(errors="replace").split())
        if self._git("rev-parse", "--verify", "--quiet", "HEAD").returncode:
            return "no commits here yet; commit first, or leave --base out"
        if self._shallow():
            return f"no such revision in this shallow clone; run {DEEPEN}"
        remote, _, branch = self.rev.partition("/")
        if branch and remote in self._git("remote").stdout.decode(errors="replace").split():
            return f"no such revision here; run git fetch {remote} {branch}"
        return "no such revision in this Git repository; git branch --all lists what there is"

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None if that revision does not have it."""
        listed = self._git("ls-tree", self.commit, "--", name)
        if not listed.returncode and not listed.stdout:
            return None
        shown = self._git("show", f"{self.commit}:./{name}")
        if shown.returncode:
            reason = " ".join(shown.stderr.decode(errors="replace").split())
            raise InputError(f"{self.rev}:{name}: not readable: {reason}")
        return shown.stdout
