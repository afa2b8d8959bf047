"""`params.yaml`: one strict YAML reader, and the sections of what it reads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import InputError, nearest, quoted
from stages.core.names import check_name
from stages.core.schema import Arguments, build, values_with_source
from stages.core.secrets import refuse_secrets

PARAMS_FILE = "params.yaml"
# Keys of a task's section that the pipeline reads and the task's script does not: where the data
# is, and which of the eight tasks runs.
DATA_GROUP, TASK_KEY = "data", "task"
# Folders of `data/` and `models/` that stages of other names write.
RESERVED = ("newsroom", "start")
# Values of Whisper's flag --task, which a params file calls speech_task.
SPEECH_TASKS = ("transcribe", "translate")
# What a YAML file may come to. Aliases count each time they are used: a few lines of them can stand
# for more values than any memory holds.
DEEPEST, MOST_VALUES = 50, 200_000
TOO_DEEP = "nested too deeply"


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key given twice is an error and `1e-5` is a number, as in YAML 1.2.

    Not of libyaml, which crashes on input that is nested very deeply.
    """

    depth = 0

    def get_single_node(self):
        """The file's one document, unless it is more than can be worked on."""
        node = super().get_single_node()
        if node is not None:
            measure(node, {})
        return node

    def compose_node(self, parent, index):
        # Early: the scanner takes the square of the depth.
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor):
        # Here, and not where values are made: what `<<` merges in may well be overwritten.
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {quoted(key.value)} is given twice",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node


def measure(node: yaml.Node, known: dict[yaml.Node, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values a node stands for, and how deep it is.

    Args:
        node: of any kind.
        known: what was found of each node so far; None of one that is being measured.

    Raises:
        yaml.MarkedYAMLError: more than `MOST_VALUES`, deeper than `DEEPEST`, or within itself.
    """
    if node not in known:
        known[node] = None
        values, depth = 1, 0
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        for part in inner:
            for one in part if isinstance(part, tuple) else (part,):
                found = measure(one, known)
                values, depth = values + found[0], max(depth, 1 + found[1])
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP)
        if values > MOST_VALUES:
            problem = f"stands for more than {MOST_VALUES} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        known[node] = values, depth
    if known[node] is None:
        raise yaml.MarkedYAMLError(
            problem="an alias stands within what it is an alias of", problem_mark=node.start_mark
        )
    return known[node]


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_params(path: str | Path = PARAMS_FILE) -> dict:
    """The parameter file as nested mappings.

    Raises:
        InputError: no such file, or what `parse_params` and `refuse_secrets` refuse.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the project's folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a YAML file") from None
    params = parse_params(content, str(path))
    refuse_secrets(params, str(path))
    return params


def parse_params(content: bytes, name: str) -> dict:
    """The content of a YAML file as nested mappings; `name` is for messages.

    Raises:
        InputError: not UTF-8, not YAML (with the line), a key given twice, no mapping at the top,
            nested too deeply, or more values than a file may stand for.
    """
    try:
        params = yaml.load(content.decode("utf-8"), Loader=_StrictLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{name}{line}: {problem}") from None
    except RecursionError:
        raise InputError(f"{name}: {TOO_DEEP}") from None
    except ValueError as error:  # the 45th of a month, say
        raise InputError(f"{name}: {error}; put the value in quotation marks") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError):  # `!!int ""`, say
        raise InputError(f"{name}: a value is not of the type that its tag names") from None
    if not isinstance(params, dict):
        raise InputError(f"{name}: expected a mapping at the top")
    return params


def section(params: dict, dotted: str, path: str = PARAMS_FILE) -> dict:
    """The mapping at a dotted name such as `tasks.glue`.

    Raises:
        InputError: no such name, with the nearest; there, but not as a name; not a mapping.
    """
    node: Any = params
    for index, part in enumerate(parts := dotted.split(".")):
        if not isinstance(node, dict) or part not in node:
            above, rest = ".".join(parts[:index]) or "the top", ".".join(parts[index:])
            there = node if isinstance(node, dict) else {}
            for key in there:
                if f"{rest}.".startswith(f"{key}."):  # 7, or a name with a dot
                    check_name(key, f"{path}: {above}")
            close = nearest(part, [str(key) for key in there])
            raise InputError(f"{path}: no {quoted(part)} under {above}{close}")
        node = node[part]
    if not isinstance(node, dict):
        raise InputError(f"{path}: {dotted} is not a mapping")
    return node


def names(params: dict, group: str, path: str = PARAMS_FILE) -> list[str]:
    """The names under `tasks`, `tokenizers` or `checkpoints`, each fit for a stage and a folder.

    Raises:
        InputError: no such mapping; a key that cannot be a name.
    """
    if not isinstance(params.get(group), dict):
        raise InputError(f"{path}: {group} is missing; write `{group}: {{}}` for none")
    for name in params[group]:
        # Of a task, TASK-7 names its repeat with seed 7.
        check_name(name, f"{path}: {group}", hyphen=group != "tasks")
        if group == "tasks" and name in RESERVED:
            raise InputError(
                f"{path}: {group}: {quoted(name)} is a folder of the pipeline's own; use "
                "another name"
            )
    return list(params[group])


def gated_metrics(params: dict, name: str) -> list[str]:
    """The metrics that have a gate under `gates.NAME`; what is badly written the gate refuses."""
    gates = params.get("gates")
    found = gates.get(name) if isinstance(gates, dict) else None
    if not isinstance(found, dict):
        return []
    return [metric for metric, gate in found.items() if isinstance(gate, dict)]


class _Switch(Arguments):
    enabled: bool = True


def task_enabled(params: dict, name: str, path: str = PARAMS_FILE) -> bool:
    """`tasks.NAME.enabled`; true where the section or the key is not there.

    Raises:
        InputError: neither true nor false.
    """
    found = (params.get("tasks") or {}).get(name) or {}
    if "enabled" not in found:
        return True
    return build(_Switch, {"enabled": (found["enabled"], f"{path}: tasks.{name}.enabled")}).enabled


def task_of(params: dict, name: str, known: Sequence[str], path: str = PARAMS_FILE) -> str:
    """Which of the eight tasks the section `tasks.NAME` runs: its `task`, by default the name.

    Args:
        params: the parsed file.
        name: a key of `tasks`.
        known: the names of the eight.
        path: the file, for messages.

    Raises:
        InputError: none of `known`.
    """
    found = section(params, f"tasks.{name}", path)
    task = found.get(TASK_KEY, name)
    if task in known:
        return task
    if TASK_KEY not in found:
        raise InputError(
            f"{path}: tasks: unknown key {quoted(name)}{nearest(name, known)}; or add "
            f"`task: NAME`, one of {', '.join(known)}"
        )
    _refuse_speech_task(task, f"{path}: tasks.{name}")
    raise InputError(
        f"{path}: tasks.{name}.task is {quoted(task)}; expected one of {', '.join(known)}"
        f"{nearest(str(task), known)}"
    )


def _refuse_speech_task(task: Any, where: str) -> None:
    if task in SPEECH_TASKS:
        raise InputError(
            f"{where}.task is {quoted(task)}; task says which of the eight tasks runs; write "
            "speech_task for Whisper's"
        )


def task_values(
    cls: type[Arguments], params: dict, dotted: str, path: str = PARAMS_FILE
) -> dict[str, tuple[Any, str]]:
    """The raw values of the section `dotted` without the pipeline's keys; see `build`.

    Raises:
        InputError: no such section, or what `values_with_source` refuses.
    """
    found = section(params, dotted, path)
    where = f"{path}: {dotted}"
    _refuse_speech_task(found.get(TASK_KEY), where)
    own = {key: value for key, value in found.items() if key not in (DATA_GROUP, TASK_KEY)}
    return values_with_source(cls, own, where, f"{where}.")
