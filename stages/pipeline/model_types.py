"""Which type of model a task runs on, and its module in `stages.models`, importing none of them."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import stages
from stages.core.errors import InputError, nearest, quoted
from stages.core.params import PARAMS_FILE, section
from stages.core.strict_json import read_json_object
from stages.vocabularies import KINDS

# With one of these a task trains another model than it starts from.
CHANGES = ("model_type", "config_name", "tokenizer_name", "config_overrides")
FAMILIES_FILE = Path(stages.__file__).parent / "models" / "families.json"


@cache
def family_modules() -> dict[str, str]:
    """{model type: module}, the table that `stages.models` loads families by."""
    return json.loads(FAMILIES_FILE.read_text(encoding="utf-8"))


def model_type(name: str, params: Mapping, path: str = PARAMS_FILE) -> str:
    """The type of the model that a task runs on, as far as `params.yaml` leads to it.

    Followed are `models/TASK`, `models/start/TOKENIZER` and `checkpoints/NAME`; a folder of the
    user's own says it in its `config.json`.

    Raises:
        InputError: tasks that start from one another; an entry or a folder without a type.
    """
    passed = []
    while True:
        if name in passed:
            raise InputError(
                f"{path}: tasks.{name}.model_name_or_path leads back to itself "
                f"({' from '.join([*passed, name])}); start one of them from another model"
            )
        passed.append(name)
        where = f"tasks.{name}"
        block = section(params, where, path)
        if block.get("model_type"):  # new weights of this type's usual sizes
            return known_type(block["model_type"], f"{path}: {where}.model_type")
        start = block.get("config_name") or block.get("model_name_or_path")
        if not isinstance(start, str):
            raise InputError(
                f"{path}: {where}.model_name_or_path is missing; name the folder to start from"
            )
        folder, _, inner = start.partition("/")
        if folder == "models" and inner in params["tasks"]:
            name = inner
        elif start.startswith("models/start/"):
            return tokenizer_type(start.removeprefix("models/start/"), params, path)
        elif folder == "checkpoints" and inner in params["checkpoints"]:
            return checkpoint_type(inner, params, path)
        else:
            return type_of_folder(Path(start), f"{path}: {where}")


def beginning(name: str, params: Mapping) -> str:
    """The folder whose tokenizer and sizes the model of a task has, before anything is trained.

    `models/TASK` is followed to what that task starts from, unless it changes it.

    Args:
        name: a task that `model_type` found the type of.
        params: the content of `params.yaml`.
    """
    tasks = params["tasks"]
    start = tasks[name]["model_name_or_path"]
    while (before := tasks.get(start.removeprefix("models/"))) and start.startswith("models/"):
        if any(before.get(key) for key in CHANGES):
            break
        start = before["model_name_or_path"]
    return start


def checkpoint_type(name: str, params: Mapping, path: str = PARAMS_FILE) -> str:
    """The `model_type` of an entry of `checkpoints`."""
    entry = section(params, f"checkpoints.{name}", path)
    return known_type(entry.get("model_type"), f"{path}: checkpoints.{name}.model_type")


def tokenizer_type(name: str, params: Mapping, path: str = PARAMS_FILE) -> str:
    """The `model_type` of an entry of `tokenizers`, one of `stages.vocabularies.KINDS`."""
    where = f"tokenizers.{name}"
    config = section(params, where, path).get("config")
    if not isinstance(config, dict) or "model_type" not in config:
        raise InputError(f"{path}: {where}.config needs `model_type` and the model's sizes")
    given = config["model_type"]
    if given not in list(KINDS):
        raise InputError(
            f"{path}: {where}.config.model_type is {quoted(given)}; expected one of "
            f"{', '.join(KINDS)}{nearest(str(given), list(KINDS))}"
        )
    return given


def known_type(given, where: str) -> str:
    """`given`, if it is a type of model that `stages.models` has."""
    types = list(family_modules())
    if given is None:
        raise InputError(f"{where} is missing; give one of {', '.join(types)}")
    if given not in types:
        close = nearest(str(given), types)
        raise InputError(f"{where} is {quoted(given)}; expected one of {', '.join(types)}{close}")
    return given


def type_of_folder(folder: Path, where: str) -> str:
    """What `config.json` of a model's folder, or a configuration file, says."""
    file = folder / "config.json" if folder.is_dir() else folder
    if not file.is_file():
        if folder.is_dir():
            raise InputError(f"{file}: no such file; it says what model the folder holds") from None
        raise InputError(
            f"{where}.model_name_or_path: no folder {quoted(str(folder))}; for a model on the "
            "hub add it under `checkpoints` (`NAME: {id: owner/model, revision: ..., model_type: "
            "...}`) and write checkpoints/NAME"
        ) from None
    return known_type(read_json_object(file).get("model_type"), f"{file}: model_type")
