"""Whether the files of `code/` have the digests of the commit's own sources."""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from stages.core.import_guard import CODE
from stages.core.sources import PACKAGE, Sources
from stages.gate.definitions import is_below
from stages.gate.files import read_here
from stages.gate.tracked import md5

MODULE = re.compile(rf"\bpython -m ({PACKAGE}[\w.]*)(?=\s|$)")
REMEDY = "run `dvc repro code`"


class CodeFiles:
    """`code/` of a folder beside its `stages/`, of which nothing is imported."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sources = Sources(folder.resolve())
        self.compare = cache(self._compare)

    def changed(self, path: str, recorded: str) -> str:
        """What differs from the run of a stage that depends on a file of `code/`; "" if nothing.

        Args:
            path: the file.
            recorded: its MD5 sum in the stage's entry of `dvc.lock`.

        Raises:
            InputError: the file or a module cannot be read.
        """
        if md5(read_here(self.folder, path, REMEDY)) != recorded:
            return f"{path} is another than the run read"
        return self.compare(path)[0]

    def lacking(self, cmd: str, deps: Iterable[str]) -> str:
        """Whether the module that a command runs is in none of the files that it depends on."""
        module = MODULE.search(cmd)
        files = [path for path in deps if is_below(path, CODE.name)]
        if not module or not files:
            return ""
        file = self.sources.module_file(self.sources.entry_point(module[1]))
        if file is None:
            return f"{module[1]}, which it runs, is gone"
        name = self.sources.name(file)
        listed = {one for path in files for one in self.compare(path)[1]}
        return "" if name in listed else f"{' and '.join(files)} lack {name}, which it runs"

    def _compare(self, path: str) -> tuple[str, Iterable[str]]:
        """What a file says of the sources that is not so ("" if nothing), and the names in it.

        What belongs to its modules now is found from the modules themselves.
        """
        try:
            listed = json.loads(read_here(self.folder, path, REMEDY))
        except (ValueError, RecursionError):
            listed = None
        if not isinstance(listed, dict):
            return f"{path} is not what `dvc repro code` writes", ()
        modules = (
            name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for name in listed
            if name.startswith(f"{PACKAGE}/") and name.endswith(".py")
        )
        try:
            now = self.sources.digests(filter(self.sources.module_file, modules))
        except (OSError, ValueError) as error:
            return f"what {path} lists is not readable: {error}", listed
        for name in sorted({*listed, *now}):
            if name not in now:
                return f"{name}, which {path} lists, is gone", listed
            if name not in listed:
                return f"{name} is not among the modules that {path} lists", listed
            if now[name] != listed[name]:
                return f"{name} is another than {path} has it", listed
        return "", listed
