"""Typed arguments: one dataclass a task, fed by flags, a JSON file and `params.yaml`.

A flag beats the JSON file, which beats `params.yaml`, which beats the default. Every value, from
wherever it comes, passes through the same conversion and the same bounds.
"""

import argparse
import dataclasses
import difflib
import json
import math
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import InputError

PARAMS_FILE = "params.yaml"
# In params.yaml this group of a task tells `fetch` where its data is; a script that runs on what
# was fetched leaves it alone.
DATA_GROUP = "data"


def flag(
    default: Any,
    help: str,
    *,
    choices: tuple | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    alias: str | None = None,
) -> Any:
    """A dataclass field that is also a flag: its help text and the bounds of its value."""
    metadata = {
        "help": help,
        "choices": choices,
        "at_least": at_least,
        "at_most": at_most,
        "above": above,
        "below": below,
        "alias": alias,
    }
    return dataclasses.field(default=default, metadata=metadata)


def field_type(field: dataclasses.Field) -> type:
    """The field's type without `| None`."""
    if isinstance(field.type, types.UnionType):
        return next(kind for kind in typing.get_args(field.type) if kind is not type(None))
    return field.type


def convert(field: dataclasses.Field, value: Any, name: str) -> Any:
    """`value` as the field's type, within its bounds.

    Accepts what YAML and a shell make of numbers: `1e-5` is a string to PyYAML, `8.0` a float.

    Raises:
        InputError: naming `name`, the value and what is expected.
    """
    if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
        if isinstance(field.type, types.UnionType) or field.default is None:
            return None
        raise InputError(f"{name} has no value; expected {_describe(field)}")
    kind = field_type(field)
    converted = _cast(kind, value)
    if converted is None:
        raise InputError(f"{name} is {value!r}; expected {_describe(field)}")
    limits = field.metadata
    fits = not isinstance(converted, float) or math.isfinite(converted)
    if limits["choices"]:
        fits = fits and converted in limits["choices"]
    if limits["at_least"] is not None:
        fits = fits and converted >= limits["at_least"]
    if limits["at_most"] is not None:
        fits = fits and converted <= limits["at_most"]
    if limits["above"] is not None:
        fits = fits and converted > limits["above"]
    if limits["below"] is not None:
        fits = fits and converted < limits["below"]
    if not fits:
        raise InputError(f"{name} is {value!r}; expected {_describe(field)}")
    return converted


def _cast(kind: type, value: Any) -> Any:
    """`value` as `kind`, or None where it is not one."""
    if kind is bool:
        if isinstance(value, str):
            return {
                "true": True,
                "yes": True,
                "1": True,
                "false": False,
                "no": False,
                "0": False,
            }.get(value.lower())
        return value if isinstance(value, bool) else None
    if kind is str:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if kind is float:
        return number
    return int(number) if math.isfinite(number) and number == int(number) else None


def _describe(field: dataclasses.Field) -> str:
    names = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    limits = field.metadata
    if limits["choices"]:
        return "one of " + ", ".join(str(choice) for choice in limits["choices"])
    bounds = [
        f"{word} {limits[key]:g}"
        for key, word in (
            ("at_least", ">="),
            ("above", ">"),
            ("at_most", "<="),
            ("below", "<"),
        )
        if limits[key] is not None
    ]
    return names[field_type(field)] + ("" if not bounds else ", " + " and ".join(bounds))


def build(cls: type, values: dict[str, tuple[Any, str]]) -> Any:
    """An instance of the dataclass `cls` from raw values, each with the name to blame."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    return cls(**{key: convert(fields[key], value, name) for key, (value, name) in values.items()})


def named_values(cls: type, mapping: dict, where: str, prefix: str) -> dict[str, tuple[Any, str]]:
    """The values of `mapping` under the names of their fields, each with the name to blame.

    Args:
        cls: the dataclass; a field's alias stands for the field.
        mapping: from a file.
        where: for the message about an unknown key.
        prefix: what a key's name begins with in a message.
    """
    names = {field.name: field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        if field.metadata["alias"]:
            names[field.metadata["alias"]] = field.name
    known_names(mapping, list(names), where)
    values = {}
    for key, value in mapping.items():
        if names[key] in values:
            raise InputError(f"{where}: {key!r} and {names[key]!r} are the same; give one of them")
        values[names[key]] = (value, f"{prefix}{key}")
    return values


def known_names(mapping: dict, names: Sequence[str], where: str) -> None:
    """Refuse a key of `mapping` that is not among `names`, and tell the nearest that is."""
    if not isinstance(mapping, dict):
        raise InputError(f"{where} is not a mapping of names to values")
    for key in mapping:
        if key not in names:
            raise InputError(f"{where}: unknown key {key!r}{nearest(str(key), names)}")


def nearest(word: str, words: Sequence[str]) -> str:
    """'; did you mean ...?' for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key given twice is an error rather than a silent overwrite."""

    def compose_mapping_node(self, anchor):
        # Here, and not where values are made: what `<<` merges in may well be overwritten.
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node


def read_params(path: str = PARAMS_FILE) -> dict:
    """The parameter file as nested mappings.

    Raises:
        InputError: no such file, not UTF-8, not YAML (with the line), a key given twice.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the project's folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a YAML file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{path}{line}: {problem}") from None
    except ValueError as error:  # a date that there is not, say
        raise InputError(f"{path}: {error}; put the value in quotation marks") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping at the top")
    return content


def section(params: dict, dotted: str, path: str = PARAMS_FILE) -> dict:
    """The mapping at a dotted name such as `tasks.glue`."""
    node: Any = params
    for index, part in enumerate(parts := dotted.split(".")):
        if not isinstance(node, dict) or part not in node:
            above = ".".join(parts[:index]) or "the top"
            there = list(node) if isinstance(node, dict) else []
            raise InputError(f"{path}: no {part!r} under {above}{nearest(part, there)}")
        node = node[part]
    if not isinstance(node, dict):
        raise InputError(f"{path}: {dotted} is not a mapping")
    return node


@dataclasses.dataclass(frozen=True)
class _Switch:
    enabled: bool = flag(True, "whether the pipeline runs the task")


def task_enabled(params: dict, task: str, path: str = PARAMS_FILE) -> bool:
    """`tasks.TASK.enabled`; true where the task or the key is not there.

    Raises:
        InputError: neither true nor false.
    """
    section = (params.get("tasks") or {}).get(task) or {}
    if "enabled" not in section:
        return True
    named = {"enabled": (section["enabled"], f"{path}: tasks.{task}.enabled")}
    return build(_Switch, named).enabled


def task_values(cls: type, params: dict, dotted: str, path: str = PARAMS_FILE) -> dict:
    """The checked raw values of `dotted` in `params`, without its group `data`."""
    values = {key: item for key, item in section(params, dotted, path).items() if key != DATA_GROUP}
    return named_values(cls, values, f"{path}: {dotted}", f"{path}: {dotted}.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message} (see --help)")


def _parser(cls: type, description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("json_file", nargs="?", metavar="FILE.json", help="flags as a JSON object")
    parser.add_argument("--params", metavar="tasks.TASK", help="section of the parameter file")
    parser.add_argument("--params_file", default=PARAMS_FILE, help="the parameter file")
    for field in dataclasses.fields(cls):
        names = [f"--{field.name}"]
        if field.metadata["alias"]:
            names.append(f"--{field.metadata['alias']}")
        shown = "" if field.default is None else f" (default {field.default})"
        parser.add_argument(
            *names,
            dest=field.name,
            default=argparse.SUPPRESS,
            help=(field.metadata["help"] + shown).replace("%", "%%"),
            metavar=field_type(field).__name__.upper(),
            **({"nargs": "?", "const": "true"} if field_type(field) is bool else {}),
        )
    return parser


def parse(cls: type, description: str, argv: list[str] | None = None) -> Any:
    """The arguments of a command as an instance of the dataclass `cls`.

    Args:
        cls: dataclass whose fields are made by `flag`.
        description: the text of `--help`.
        argv: the words after the command's name; `sys.argv` by default.

    Raises:
        InputError: an unknown flag or key, a wrong type, an impossible value, naming it.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser(cls, description)
    given, rest = parser.parse_known_args(argv)
    flags = vars(given)
    if rest:
        names = [f"--{field.name}" for field in dataclasses.fields(cls)]
        raise InputError(f"unknown flag {rest[0]}{nearest(rest[0].split('=')[0], names)}")
    values: dict[str, tuple[Any, str]] = {}
    json_file, dotted, params_file = (
        flags.pop(key) for key in ("json_file", "params", "params_file")
    )
    if dotted:
        values |= task_values(cls, read_params(params_file), dotted, params_file)
    if json_file:
        values |= _json_values(cls, json_file)
    values |= {key: (value, f"--{key}") for key, value in flags.items()}
    return build(cls, values)


def _json_values(cls: type, path: str) -> dict[str, tuple[Any, str]]:
    if not path.endswith(".json"):
        raise InputError(f"{path!r} is neither a flag nor a JSON file of flags")
    try:
        mapping = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    return named_values(cls, mapping, path, f"{path}: ")
