"""What each command of the pipeline is made of: `python -m stages.pipeline.code` writes `code/`.

A file a command, `code/train/qa.json`: every module that the command imports, those imported
within functions too, with a digest of its syntax tree. Comments, docstrings and layout do not
count, and Python 3.11, 3.12 and 3.13 give the same digest. The other stages depend on their file,
so `git diff code/` names the module that made a stage stale.

Files that are not Python (templates, tables) count by their bytes, where a module of their folder
is imported. Modules that are loaded by name are added here, from the registries that name them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import stages
from stages.core.errors import InputError, command
from stages.core.import_guard import CODE
from stages.core.sources import Sources
from stages.pipeline.model_types import family_modules
from stages.pipeline.unroll import read_unrolled, write_stale
from stages.tasks.registry import part_name

ROOT = Path(stages.__file__).resolve().parents[1]


def commands(unrolled: Mapping, sources: Sources) -> dict[str, list[str]]:
    """{file below `code/`, without its ending: modules that the command starts from}.

    Args:
        unrolled: the content of `tasks.yaml`.
        sources: where the modules are.
    """
    found = {name: [sources.entry_point(module)] for name, module in unrolled["commands"].items()}
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


@command
def main() -> None:
    """Write `code/`; a file that no command has any more goes."""
    sources, unrolled = Sources(ROOT), read_unrolled()
    try:
        wanted = {
            f"{CODE}/{name}.json": json.dumps(sources.digests(modules), indent=1, sort_keys=True)
            + "\n"
            for name, modules in commands(unrolled, sources).items()
        }
    except InputError as error:
        raise InputError(f"{error}; `code` is left as it was") from None
    for file in CODE.rglob("*.json"):
        if file.as_posix() not in wanted:
            file.unlink()
    for folder in CODE.iterdir() if CODE.is_dir() else ():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    write_stale(wanted)


if __name__ == "__main__":
    main()
