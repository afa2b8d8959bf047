"""Holds a pipeline stage to the modules that its file in `code/` lists.

DVC sees a change of code through that file alone, so a module that it does not list must not have
a part in what the stage writes.
"""

import importlib.abc
import json
import os
import re
import sys
from collections.abc import Set
from pathlib import Path

CODE = Path("code")
# Stages that run the command of another stage, and so share its file.
SAME_COMMAND = {
    "plan": "train",
    "evaluate": "train",
    "train-seed": "train",
    "evaluate-seed": "train",
    "baseline-text": "baseline",
}
_SEED = re.compile(r"-\d+$")


def code_file(stage: str) -> Path | None:
    """The file of a stage such as `train@qa`; None where the stage depends on none."""
    name, _, key = stage.partition("@")
    if name.endswith("-seed"):
        key = _SEED.sub("", key)
    name = SAME_COMMAND.get(name, name)
    files = (CODE / name / f"{key}.json", CODE / f"{name}.json")
    return next((file for file in files if file.is_file()), None)


class ImportGuard(importlib.abc.MetaPathFinder):
    """Refuses the import of a project module that `listed` (paths from the root) lacks."""

    def __init__(self, file: Path, listed: Set[str]):
        self.file = file
        self.listed = listed

    def find_spec(self, fullname, path=None, target=None):
        """Leave every other import to the finders that follow."""
        if fullname.startswith("stages."):
            base = fullname.replace(".", "/")
            if not {f"{base}.py", f"{base}/__init__.py"} & self.listed:
                # Not an `InputError`: most imports run before any `main` that would catch it.
                raise SystemExit(
                    f"error: {self.file} does not list {fullname}, which this stage imports; run "
                    "`dvc repro code`, or list it where modules are loaded by name"
                )
        return None


def guard_imports() -> None:
    """Install the guard where DVC runs this process as a stage."""
    file = code_file(os.environ.get("DVC_STAGE", ""))
    if file is not None:
        listed = json.loads(file.read_text(encoding="utf-8")).keys()
        sys.meta_path.insert(0, ImportGuard(file, listed))
