"""Typed models of all settings, and the one line that refuses a value.

Every setting, from a flag, a JSON file or `params.yaml`, is a field of a pydantic model: its type,
its bounds and its choices stand there and nowhere else. `build` makes the model and turns what
pydantic finds into an `InputError` that names the key or flag, the value and what is expected.
"""

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from stages.core.errors import InputError, nearest, quoted

TRUTH_VALUES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NONE = ("none", "null")
UNUSABLE = re.compile("[\0\ud800-\udfff]")
# For a field's `json_schema_extra`: the folder of a trained model keeps the argument, because
# prediction needs it, or evaluation alone (`stages.training.kept_arguments`). What only training
# needs has neither.
FOR_PREDICTION, FOR_EVALUATION = {"kept_for": "prediction"}, {"kept_for": "evaluation"}


class Section(BaseModel):
    """A mapping of the parameter file: no unknown keys, no coerced types, no NaN or infinity.

    Text is what can be a path and be written as UTF-8: without NUL and lone surrogates.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if isinstance(value, str) and UNUSABLE.search(value):
            raise ValueError("a NUL or half a character")
        return value


class Arguments(Section):
    """Settings that may also be flags, and so text: `1e-5`, `8.0` for 8, `yes`, `none`.

    group: what `--help` calls the fields that a class adds to those of its bases; not inherited.
    common: those of them that most commands have, which come first there; not inherited.
    """

    group: ClassVar[str] = "this task"
    common: ClassVar[tuple[str, ...]] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name]
        kind = field_type(field)
        if isinstance(value, str) and value.lower() in NONE and value not in choices(field):
            return None
        if kind is bool and isinstance(value, str):
            return TRUTH_VALUES.get(value.lower(), value)
        numeric = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        if kind not in (int, float) or not numeric:
            return value
        try:
            number = float(value)
        except OverflowError:
            raise ValueError("beyond every float") from None
        if kind is float or not number.is_integer():
            return number
        return value if isinstance(value, int) else int(number)


Settings = TypeVar("Settings", bound=Section)


def build(cls: type[Settings], values: Mapping[str, tuple[Any, str]], where: str = "") -> Settings:
    """An instance of `cls` from raw values.

    Args:
        cls: the model.
        values: {field: (value, the flag or key to name in a message)}.
        where: what the name of a missing key begins with.

    Raises:
        InputError: naming flag or key, the value and what is expected.
    """
    try:
        return cls.model_validate({key: value for key, (value, _) in values.items()})
    except ValidationError as error:
        # An unknown key first: misspelt, it is why another one is missing.
        first, *_ = sorted(
            error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden"
        )
        raise InputError(_one_line(cls, first, values, where)) from None


def build_section(cls: type[Settings], mapping: Any, where: str) -> Settings:
    """An instance of `cls` from a mapping of the parameter file.

    Args:
        cls: the model.
        mapping: from the file; anything else is refused.
        where: the file and the dotted name of the mapping, for messages.

    Raises:
        InputError: naming the key, the value and what is expected.
    """
    return build(cls, values_with_source(cls, mapping, where, f"{where}."), where)


def values_with_source(
    cls: type[Section], mapping: Any, where: str, prefix: str
) -> dict[str, tuple[Any, str]]:
    """The values of `mapping` under the names of their fields, each with the key to blame.

    Args:
        cls: the model; an alias stands for its field.
        mapping: from a file.
        where: for the message about an unknown key.
        prefix: what a key's name begins with in a message.

    Raises:
        InputError: not a mapping, an unknown key, or a field given under two names.
    """
    names = {alias: name for name, field in cls.model_fields.items() for alias in aliases(field)}
    names |= {name: name for name in cls.model_fields}
    known_names(mapping, list(names), where)
    values = {}
    for key, value in mapping.items():
        if names[key] in values:
            raise InputError(
                f"{where}: {quoted(key)} and {quoted(names[key])} are the same; give one of them"
            )
        values[names[key]] = (value, f"{prefix}{key}")
    return values


def known_names(mapping: Any, names: Sequence[str], where: str) -> None:
    """Refuse a key of `mapping` that is not among `names`, and suggest the nearest."""
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where} is not a mapping of names to values")
    for key in mapping:
        if key not in names:
            raise InputError(f"{where}: {_unknown(key, names)}")


def _unknown(key: Any, names: Sequence[str]) -> str:
    return f"unknown key {quoted(key)}{nearest(str(key), names)} (keys: {', '.join(sorted(names))})"


def field_groups(cls: type[Arguments]) -> dict[str, dict[str, FieldInfo]]:
    """{group: {name: field}} of a class and its bases, which come first, each from its most common.

    A field that a class declares again stays with the base that had it.
    """
    groups: dict[str, dict[str, FieldInfo]] = {}
    left = dict(cls.model_fields)
    for base in reversed(cls.__mro__):
        given = vars(base)
        own = [name for name in given.get("__annotations__", {}) if name in left]
        for name in dict.fromkeys([*given.get("common", ()), *own]):
            group = groups.setdefault(given.get("group", Arguments.group), {})
            group[name] = left.pop(name)
    return groups


def field_type(field: FieldInfo) -> Any:
    """The field's type without `| None`; that of its values where it has choices."""
    kind = field.annotation
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return type(typing.get_args(kind)[0]) if typing.get_origin(kind) is typing.Literal else kind


def kept_for(field: FieldInfo) -> str | None:
    """What the folder of a trained model keeps an argument for: `prediction` or `evaluation`."""
    return (field.json_schema_extra or {}).get("kept_for")


def choices(field: FieldInfo) -> tuple:
    """The values of a `Literal`, or none."""
    parts = [field.annotation, *typing.get_args(field.annotation)]
    literals = [part for part in parts if typing.get_origin(part) is typing.Literal]
    return typing.get_args(literals[0]) if literals else ()


def aliases(field: FieldInfo) -> list[str]:
    """Further names of the field."""
    alias = field.validation_alias
    return [] if alias is None else [name for name in alias.choices if isinstance(name, str)]


def describe(field: FieldInfo) -> str:
    """What a value of the field looks like: `a whole number, >= 1`."""
    if choices(field):
        return "one of " + ", ".join(str(choice) for choice in choices(field))
    kind = field_type(field)
    names = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    if _is_section(kind):
        return f"a mapping with {', '.join(kind.model_fields)}"
    if kind not in names:
        return field.description or "a mapping of names to values"
    bounds = [
        f"{sign} {getattr(bound, key):g}"
        for key, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        for bound in field.metadata
        if hasattr(bound, key)
    ]
    return names[kind] + ("" if not bounds else ", " + " and ".join(bounds))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _one_line(
    cls: type[Section], error: Any, values: Mapping[str, tuple[Any, str]], where: str
) -> str:
    """The message for one error of pydantic's list; see `build`."""
    if not error["loc"]:  # by a check of several values
        return f"{where}: {error['ctx']['error']}" if where else str(error["ctx"]["error"])
    first, *rest = error["loc"]
    value, name = values.get(first, (None, f"{where}.{first}"))
    if rest:
        value = error["input"]
    above, name = ".".join([name, *map(str, rest[:-1])]), ".".join([name, *map(str, rest)])
    if rest[-1:] == ["[key]"]:  # of dict[str, Section]
        above = above.removesuffix(f".{value}")
        return f"{above}: {quoted(value)} is a name; put it in quotation marks"
    kind, field = cls, None
    for part in error["loc"]:
        if _is_section(kind):
            if part not in kind.model_fields:
                return f"{above}: {_unknown(part, list(kind.model_fields))}"
            field = kind.model_fields[part]
            kind = field_type(field)
        else:  # a value of dict[str, Section]
            kind = typing.get_args(kind)[-1]
            field = FieldInfo(annotation=kind)
    if error["type"] == "value_error" and _is_section(kind):
        return f"{name}: {error['ctx']['error']}"
    if error["type"] == "missing" or (field.is_required() and value in (None, "")):
        return f"{name} is missing; give {field.description or describe(field)}"
    if value is None or (isinstance(value, str) and value.lower() in NONE):
        return f"{name} has no value; expected {describe(field)}"
    unquoted = isinstance(value, (int, float)) and describe(field) == "text"
    remedy = ", in quotation marks" if unquoted else ""
    return f"{name} is {quoted(value)}; expected {describe(field)}{remedy}"
