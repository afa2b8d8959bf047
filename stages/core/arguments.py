"""The command line of a task, made from its typed arguments.

A flag beats the JSON file, which beats `params.yaml`, which beats the default. Nothing else is
read: no environment variable, no `.env`.

argparse and pydantic do this, and pydantic-settings does not: with none of its
`cli_implicit_flags` do both `--do_train` and `--from_scratch=false` work, `-1e-5` after a flag is
taken for another flag, an unknown flag ends the process with a page of usage and no nearest name,
and it merges the sources before anything is checked, so that a message cannot name the file or
flag that a value came from.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic.fields import FieldInfo

from stages.core.errors import InputError, call_flags, nearest, quoted
from stages.core.params import PARAMS_FILE, TASK_KEY, read_params, task_values
from stages.core.schema import (
    Arguments,
    Section,
    aliases,
    build,
    field_groups,
    field_type,
    values_with_source,
)

TaskArguments = TypeVar("TaskArguments", bound=Arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message} (see --help)")


def _parser(cls: type[Arguments], description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        usage="%(prog)s [FILE.json] [--FLAG [VALUE]] ...",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("json_file", nargs="?", metavar="FILE.json", help="flags as a JSON object")
    _add_params(parser)
    for title, fields in field_groups(cls).items():
        group = parser.add_argument_group(title)
        for name, field in fields.items():
            _add_flag(group, name, field)
    return parser


def _add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--params", metavar="tasks.TASK", help="section of the parameter file")
    parser.add_argument("--params_file", default=PARAMS_FILE, help="the parameter file")


def given_section(argv: list[str] | None = None) -> tuple[str | None, str]:
    """The section that a command's `--params` names, None where it does not, and the file."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    _add_params(parser)
    given, _ = parser.parse_known_args(argv)
    return given.params, given.params_file


def _add_flag(group, name: str, field: FieldInfo) -> None:
    shown = "" if field.default is None else f" (default {field.default})"
    kind = field_type(field)
    group.add_argument(
        *(f"--{each}" for each in dict.fromkeys((name, *aliases(field)))),
        dest=name,
        default=argparse.SUPPRESS,
        help=(field.description + shown).replace("%", "%%"),
        metavar=kind.__name__.upper(),
        **({"nargs": "?", "const": "true"} if kind is bool else {}),
    )


def parse(
    cls: type[TaskArguments], description: str, argv: list[str] | None = None
) -> TaskArguments:
    """The arguments of a command.

    Args:
        cls: the model of the task's arguments.
        description: the text of `--help`.
        argv: the words after the command's name; `sys.argv` by default.

    Raises:
        InputError: an unknown flag or key, a wrong type, an impossible value, naming it.
    """
    return build(cls, given_values(cls, description, argv))


def given_values(
    cls: type[Arguments], description: str, argv: list[str] | None = None
) -> dict[str, tuple[Any, str]]:
    """What the user gives, unchecked but for its names: {field: (value, flag or key)}.

    Args:
        cls, description, argv: as in `parse`.

    Raises:
        InputError: an unknown flag or key; a file that cannot be read.
    """
    argv = sys.argv[1:] if argv is None else argv
    given, rest = _parser(cls, description).parse_known_args(argv)
    flags = vars(given)
    if rest:
        names = [f"--{name}" for name in cls.model_fields]
        raise InputError(f"unknown flag {rest[0]}{nearest(rest[0].split('=')[0], names)}")
    values: dict[str, tuple[Any, str]] = {}
    json_file, dotted, params_file = (
        flags.pop(key) for key in ("json_file", "params", "params_file")
    )
    if dotted:
        values |= task_values(cls, read_params(params_file), dotted, params_file)
        # A stage gives some flags that a key gives too, and the key is what a user can change.
        alone = flags.keys() - values.keys()
        keys = flag_keys(cls, dotted)
        call_flags({name: key for name, key in keys.items() if name not in alone}, params_file)
    if json_file:
        values |= _json_values(cls, json_file)
    return values | {key: (value, f"--{key}") for key, value in flags.items()}


def flag_keys(cls: type[Section], dotted: str) -> dict[str, str]:
    """{flag: the whole path of its key} of a section of the parameter file; see `call_flags`."""
    keys = {}
    for name, field in cls.model_fields.items():
        # Whisper's `task` is called otherwise there.
        key = name if name != TASK_KEY else aliases(field)[-1]
        keys[name] = f"{dotted}.{key}"
    return keys


def _json_values(cls: type[Arguments], path: str) -> dict[str, tuple[Any, str]]:
    if not path.endswith(".json"):
        raise InputError(f"{quoted(path)} is neither a flag nor a JSON file of flags")
    try:
        mapping = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    return values_with_source(cls, mapping, path, f"{path}: ")
