"""What each command of the pipeline is made of: `python -m stages.pipeline.code` writes `code/`.

A file a command, `code/train/qa.json`: every module that the command imports, those imported
within functions too, with a digest of its syntax tree. Comments, docstrings and layout do not
count, and Python 3.11, 3.12 and 3.13 give the same digest. The other stages depend on their file,
so `git diff code/` names the module that made a stage stale.

Files that are not Python (templates, tables) count by their bytes, where a module of their folder
is imported. Modules that are loaded by name are added here, from the registries that name them.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import stages
from stages.core.errors import InputError, command
from stages.core.import_guard import CODE
from stages.pipeline.model_types import family_modules
from stages.pipeline.syntax import canonical
from stages.pipeline.unroll import read_unrolled, write_stale
from stages.tasks.registry import part_name

ROOT = Path(stages.__file__).resolve().parents[1]
DIGITS = 16  # of a digest: 64 bits, for a few hundred files


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a module.

    Raises:
        InputError: not Python, with the line.
    """
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        where = f"{path.relative_to(ROOT)}, line {error.lineno}"
        raise InputError(f"{where}: {error.msg}; `code` is left as it was") from None
    except ValueError as error:
        raise InputError(f"{path.relative_to(ROOT)}: {error}; `code` is left as it was") from None


@cache
def digest(path: Path) -> str:
    """SHA-256, cut short: of a module's syntax tree, of any other file's bytes."""
    content = canonical(parse(path)).encode() if path.suffix == ".py" else path.read_bytes()
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def module_file(name: str) -> Path | None:
    """The file of a module or package of the project, None where there is none of that name."""
    base = ROOT.joinpath(*name.split("."))
    return next((f for f in (base / "__init__.py", base.with_suffix(".py")) if f.is_file()), None)


@cache
def imported_names(path: Path) -> frozenset[str]:
    """What a file imports of the project; `from a import b` names `a.b` too, module or not."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                where = f"{path.relative_to(ROOT)}, line {node.lineno}"
                raise InputError(f"{where}: a relative import; write the module's full name")
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(name for name in names if name.split(".")[0] == "stages")


def import_closure(modules: Iterable[str]) -> set[Path]:
    """The files of these modules and of all that they import, packages and data files included.

    Raises:
        InputError: no module of that name.
    """
    found: set[Path] = set()
    waiting = []
    for name in modules:
        if module_file(name) is None:
            raise InputError(f"{name}: no such module; a stage of dvc.yaml runs it")
        waiting.append(name)
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if file is None or file in found:
            continue
        found.add(file)
        waiting += [name.rpartition(".")[0], *imported_names(file)]
    data = {
        file
        for folder in {module.parent for module in found}
        for file in folder.iterdir()
        if file.is_file() and file.suffix not in (".py", ".pyc") and file.name[0] != "."
    }
    return found | data


def entry_point(module: str) -> str:
    """What `python -m` runs: the module, of a package its `__main__`."""
    inner = f"{module}.__main__"
    return inner if module_file(inner) else module


def commands(unrolled: Mapping) -> dict[str, list[str]]:
    """{file below `code/`, without its ending: modules that the command starts from}.

    Args:
        unrolled: the content of `tasks.yaml`.
    """
    found = {name: [entry_point(module)] for name, module in unrolled["commands"].items()}
    for name, entry in unrolled["tasks"].items():
        convert = part_name(entry["task"], "convert")
        family = family_modules()[entry["model_type"]]
        found[f"fetch/{name}"] = ["stages.pipeline.fetch", convert]
        found[f"train/{name}"] = [f"stages.{entry['script']}", family]
    for name, entry in (unrolled["baselines"] | unrolled["text_baselines"]).items():
        baseline = part_name(entry["task"], "baseline")
        found[f"baseline/{name}"] = ["stages.pipeline.baseline", baseline]
    for name, entry in unrolled["tokenizers"].items():
        found[f"tokenizer/{name}"] = ["stages.pipeline.make_tokenizer", entry["vocabulary"]]
    for name, entry in unrolled["checkpoints"].items():
        family = family_modules()[entry["model_type"]]
        found[f"checkpoint/{name}"] = ["stages.pipeline.fetch_checkpoint", family]
    return found


def as_text(files: Iterable[Path]) -> str:
    """The content of one file of `code/`."""
    digests = {file.relative_to(ROOT).as_posix(): digest(file) for file in files}
    return json.dumps(digests, indent=1, sort_keys=True) + "\n"


@command
def main() -> None:
    """Write `code/`; a file that no command has any more goes."""
    wanted = {
        f"{CODE}/{name}.json": as_text(import_closure(modules))
        for name, modules in commands(read_unrolled()).items()
    }
    for file in CODE.rglob("*.json"):
        if file.as_posix() not in wanted:
            file.unlink()
    for folder in CODE.iterdir() if CODE.is_dir() else ():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    write_stale(wanted)


if __name__ == "__main__":
    main()
