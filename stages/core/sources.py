"""The project's own modules as text: what each imports and a digest of it; nothing is imported.

Data files (templates, tables) belong to the modules of their folder and count by their bytes.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from stages.core.errors import InputError
from stages.core.syntax import canonical

PACKAGE = "stages"
DIGITS = 16  # of a digest: 64 bits, for a few hundred files


class Sources:
    """The package `stages` below a folder. What was read once is not read again.

    Args:
        root: the folder; names of files are relative to it.
    """

    def __init__(self, root: Path):
        self.root = root
        self.parse = cache(self._parse)
        self.digest = cache(self._digest)
        self.imported_names = cache(self._imported_names)

    def name(self, path: Path) -> str:
        """A file's name as `code/` lists it."""
        return path.relative_to(self.root).as_posix()

    def _parse(self, path: Path) -> ast.Module:
        """The syntax tree of a module.

        Raises:
            InputError: not Python, with the line.
        """
        try:
            return ast.parse(path.read_bytes(), filename=str(path))
        except SyntaxError as error:
            raise InputError(f"{self.name(path)}, line {error.lineno}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            reason = str(error) or "nested too deeply"
            raise InputError(f"{self.name(path)}: {reason}") from None

    def _digest(self, path: Path) -> str:
        """SHA-256, cut short: of a module's syntax tree, of any other file's bytes.

        Raises:
            InputError: not Python, with the line.
        """
        if path.suffix != ".py":
            content = path.read_bytes()
        else:
            try:
                content = canonical(self.parse(path)).encode()
            except RecursionError:
                raise InputError(f"{self.name(path)}: nested too deeply") from None
        return hashlib.sha256(content).hexdigest()[:DIGITS]

    def module_file(self, name: str) -> Path | None:
        """The file of a module or package of the project, None if there is none of that name."""
        if not name:  # the parent of `stages`; the path would be a file beside the project
            return None
        base = self.root.joinpath(*name.split("."))
        files = (base / "__init__.py", base.with_suffix(".py"))
        return next((file for file in files if file.is_file()), None)

    def _imported_names(self, path: Path) -> frozenset[str]:
        """What a file imports of the project; `from a import b` names `a.b` too, module or not.

        Raises:
            InputError: a relative import; not Python.
        """
        names = set()
        for node in ast.walk(self.parse(path)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                if node.level:
                    where = f"{self.name(path)}, line {node.lineno}"
                    raise InputError(f"{where}: a relative import; write the module's full name")
                inner = (f"{node.module}.{alias.name}" for alias in node.names)
                names.update((node.module, *inner))
        return frozenset(name for name in names if name.split(".")[0] == PACKAGE)

    def import_closure(self, modules: Iterable[str]) -> set[Path]:
        """The files of these modules and of all that they import, packages and data files included.

        Raises:
            InputError: no module of that name; not Python.
        """
        found: set[Path] = set()
        waiting = []
        for name in modules:
            if self.module_file(name) is None:
                raise InputError(f"{name}: no such module; a stage of dvc.yaml runs it")
            waiting.append(name)
        while waiting:
            name = waiting.pop()
            file = self.module_file(name)
            if file is None or file in found:
                continue
            found.add(file)
            waiting += [name.rpartition(".")[0], *self.imported_names(file)]
        data = {
            file
            for folder in {module.parent for module in found}
            for file in folder.iterdir()
            if file.is_file() and file.suffix not in (".py", ".pyc") and file.name[0] != "."
        }
        return found | data

    def entry_point(self, module: str) -> str:
        """What `python -m` runs: the module, of a package its `__main__`."""
        inner = f"{module}.__main__"
        return inner if self.module_file(inner) else module

    def digests(self, modules: Iterable[str]) -> dict[str, str]:
        """{file: its digest} of all that these modules are made of."""
        return {self.name(file): self.digest(file) for file in self.import_closure(modules)}
