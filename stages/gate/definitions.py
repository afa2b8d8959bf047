"""The stages that `dvc.yaml` defines, its templates resolved as DVC resolves them.

Importing DVC for it would take longer than the rest of the gate. What is beyond this module (a
`wdir`, a `matrix`, an expression that is no name) makes a stage that the gate does not know, and
that says so where it matters.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.core.params import PARAMS_FILE, parse_params
from stages.gate.files import read_here

PIPELINE_FILE = "dvc.yaml"
_EXPRESSION = re.compile(r"(?<!\\)\$\{\s*([^}]*?)\s*\}")
_BEYOND = ("matrix", "wdir")


@dataclass(frozen=True)
class Definition:
    """One stage.

    cmd: its command.
    deps: paths.
    params: {file: dotted keys, None for the whole file}.
    outs: {path: whether Git holds it}, metrics and plots included.
    frozen: whether DVC leaves it as it is.
    """

    cmd: object
    deps: tuple[str, ...]
    params: Mapping[str, tuple[str, ...] | None]
    outs: Mapping[str, bool]
    frozen: bool


@dataclass
class Pipeline:
    """All stages of a `dvc.yaml`, in its order.

    stages: {name: definition}.
    beyond: {name in `dvc.yaml`: why the gate does not know it}.
    """

    stages: dict[str, Definition] = field(default_factory=dict)
    beyond: dict[str, str] = field(default_factory=dict)

    def writers(self, path: str) -> list[str]:
        """The stages that write a path, what is in it, or what it is in."""
        return [
            name
            for name, stage in self.stages.items()
            if any(out == path or is_below(out, path) or is_below(path, out) for out in stage.outs)
        ]

    def writer(self, path: str) -> str | None:
        """The stage that has this very path as an output."""
        return next((name for name, stage in self.stages.items() if path in stage.outs), None)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is below a folder, both normalised."""
    return path.startswith(f"{folder}/")


def read_pipeline(folder: Path, params: Mapping) -> Pipeline:
    """Read `dvc.yaml` of the working tree.

    Args:
        folder: where it is.
        params: the content of `params.yaml` there, whose values are variables too.

    Raises:
        InputError: it, or a file of its `vars`, cannot be read.
    """
    content = parse_params(read_here(folder, PIPELINE_FILE, "restore it from Git"), PIPELINE_FILE)
    scope = dict(params)
    for entry in _listed(content.get("vars"), "vars"):
        if isinstance(entry, str) and entry != PARAMS_FILE:
            entry = parse_params(read_here(folder, entry, "run `make unroll`"), entry)
        scope |= entry if isinstance(entry, Mapping) else {}
    stages = content.get("stages") or {}
    if not isinstance(stages, Mapping):
        raise InputError(f"{PIPELINE_FILE}: stages is no mapping; restore it from Git")
    pipeline = Pipeline()
    for name, entry in stages.items():
        try:
            for stage, inner in _unrolled(name, entry, scope).items():
                pipeline.stages[stage] = _definition(*inner)
        except InputError as error:
            pipeline.beyond[str(name)] = f"{PIPELINE_FILE}: stages.{name}: {error}"
    return pipeline


def _unrolled(name, entry, scope: Mapping) -> dict[str, tuple[Mapping, Mapping]]:
    """{stage: (its entry, the variables it sees)}; a `foreach` makes a stage of each element."""
    if not isinstance(entry, Mapping):
        raise InputError("is no mapping")
    if "foreach" not in entry:
        return {str(name): (entry, scope)}
    elements = _resolved(entry["foreach"], scope)
    if isinstance(elements, Mapping):
        variables = {key: {"key": key, "item": item} for key, item in elements.items()}
    elif isinstance(elements, list):
        simple = all(isinstance(item, str | int | float) for item in elements)
        variables = {
            item if simple else number: {"item": item} for number, item in enumerate(elements)
        }
    else:
        raise InputError("`foreach` is neither a mapping nor a list")
    body = entry.get("do")
    if not isinstance(body, Mapping):
        raise InputError("`do` is no mapping")
    return {f"{name}@{_text(key)}": (body, {**scope, **own}) for key, own in variables.items()}


def _definition(entry: Mapping, scope: Mapping) -> Definition:
    for key in _BEYOND:
        if key in entry:
            raise InputError(f"`{key}` is beyond what the gate reads")
    if "vars" in entry:
        raise InputError("`vars` of one stage are beyond what the gate reads")
    entry = _resolved(entry, scope)
    params: dict[str, tuple[str, ...] | None] = {}
    for item in _listed(entry.get("params"), "params"):
        for file, keys in (item if isinstance(item, Mapping) else {PARAMS_FILE: [item]}).items():
            known = params.get(file, ())
            if not keys or known is None:
                params[file] = None
            else:
                params[file] = (*known, *map(_text, _listed(keys, "params")))
    outs = {}
    for part in ("outs", "metrics", "plots"):
        for item in _listed(entry.get(part), part):
            for path, options in item.items() if isinstance(item, Mapping) else [(item, None)]:
                cached = options.get("cache", True) if isinstance(options, Mapping) else True
                outs[posixpath.normpath(_text(path))] = not cached
    deps = (posixpath.normpath(_text(path)) for path in _listed(entry.get("deps"), "deps"))
    return Definition(entry.get("cmd"), tuple(deps), params, outs, bool(entry.get("frozen")))


def _listed(value, name: str) -> list:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"`{name}` is no list")
    return value


def _resolved(value, scope: Mapping):
    """A value of `dvc.yaml` with its expressions replaced."""
    if isinstance(value, Mapping):
        keys = (_text(_resolved(key, scope)) if isinstance(key, str) else key for key in value)
        return {
            key: _resolved(inner, scope) for key, inner in zip(keys, value.values(), strict=True)
        }
    if isinstance(value, list):
        return [_resolved(inner, scope) for inner in value]
    if not isinstance(value, str):
        return value
    if whole := _EXPRESSION.fullmatch(value):
        return _named(whole[1], scope)
    text = _EXPRESSION.sub(lambda found: _text(_named(found[1], scope)), value)
    return text.replace("\\${", "${")


def _named(name: str, scope: Mapping):
    value = scope
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"${{{name}}} names nothing that the gate finds")
        value = value[part]
    return value


def _text(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise InputError(f"{quoted(value)} stands where a text is expected")
    return str(value)
