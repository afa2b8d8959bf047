"""Sections of the parameter file: what is refused, and in what words."""

import json
from typing import Literal

import pytest
from pydantic import Field, model_validator

from stages.core.arguments import parse
from stages.core.errors import InputError
from stages.core.schema import Arguments, Section, build_section
from stages.training.arguments import CommonArguments


class Part(Section):
    size: int = Field(ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1)


class Whole(Section):
    name: str = Field(description="the name of it")
    kind: Literal["big", "small"] = "big"
    parts: dict[str, Part] = Field({}, description="NAME: {size: ...} for each part")
    first: Part | None = None
    on: bool = False

    @model_validator(mode="after")
    def _check(self):
        if self.on and not self.parts:
            raise ValueError("on needs parts")
        return self


def test_a_section_as_it_should_be():
    content = {"name": "a", "parts": {"x": {"size": 3}}, "first": {"size": 1, "share": 0.25}}
    whole = build_section(Whole, content, "p.yaml: it")
    assert whole.parts["x"] == Part(size=3)
    assert whole.model_dump() == {
        "name": "a", "kind": "big", "parts": {"x": {"size": 3, "share": 0.5}},
        "first": {"size": 1, "share": 0.25}, "on": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"nam": "a"}, "p.yaml: it: unknown key 'nam'; did you mean 'name'?"),
        ({}, "p.yaml: it.name is missing; give the name of it"),
        ({"name": None}, "p.yaml: it.name is missing; give the name of it"),
        ({"name": 3}, "p.yaml: it.name is 3; expected text, in quotation marks"),
        ({"name": "a", "kind": "bg"}, "p.yaml: it.kind is 'bg'; expected one of big, small"),
        ({"name": "a", "kind": None}, "p.yaml: it.kind has no value; expected one of big, small"),
        ({"name": "a", "on": "yes"}, "p.yaml: it.on is 'yes'; expected true or false"),
        ({"name": "a", "on": True}, "p.yaml: it: on needs parts"),
        ({"name": "a", "first": 3}, "p.yaml: it.first is 3; expected a mapping with size, share"),
        ({"name": "a", "first": {}}, "p.yaml: it.first.size is missing; give a whole number, >= 1"),
        ({"name": "a", "parts": [1]}, "it.parts is [1]; expected NAME: {size: ...} for each part"),
        ({"name": "a", "parts": {"x": 1}}, "it.parts.x is 1; expected a mapping with size, share"),
        ({"name": "a", "parts": {"x": {"size": 0}}},
         "p.yaml: it.parts.x.size is 0; expected a whole number, >= 1 and <= 9"),
        ({"name": "a", "parts": {"x": {"size": True}}}, "it.parts.x.size is True; expected a"),
        ({"name": "a", "parts": {"x": {"size": "3"}}}, "it.parts.x.size is '3'; expected a whole"),
        ({"name": "a", "parts": {"x": {"size": 3.0}}}, "it.parts.x.size is 3.0; expected a whole"),
        ({"name": "a", "parts": {"x": {"siz": 3}}},
         "p.yaml: it.parts.x: unknown key 'siz'; did you mean 'size'?"),
        ({"name": "a", "first": {"size": 1, "share": float("nan")}},
         "p.yaml: it.first.share is nan; expected a number, > 0 and < 1"),
        ({"name": "a", "parts": {"x.y": {"si.ze": 3}}}, "p.yaml: it.parts.x.y: unknown key 'si.z"),
        ({"name": "a", 1: 2}, "p.yaml: it: unknown key 1"),
        ({"name": "a", "first": {1: 2, "size": 1}}, "p.yaml: it.first: unknown key 1"),
        ({"name": "a", "parts": {1: {}}}, "p.yaml: it.parts: 1 is a name; put it in quotation m"),
    ],
)  # fmt: skip
def test_a_section_that_cannot_be_used(content, said):
    with pytest.raises(InputError) as caught:
        build_section(Whole, content, "p.yaml: it")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_mapping():
    for content in (None, 3, [], "a"):
        with pytest.raises(InputError, match=r"p\.yaml: it is not a mapping of names to"):
            build_section(Whole, content, "p.yaml: it")


class Flags(Arguments):
    count: int | None = None
    share: float = 0.5


@pytest.mark.parametrize(
    ("value", "count"),
    [("1e3", 1000), ("8.0", 8), (8.0, 8), (2**60 + 1, 2**60 + 1), ("none", None)],
)
def test_numbers_as_a_shell_or_yaml_has_them(value, count):
    found = build_section(Flags, {"count": value}, "it").count
    assert found == count
    assert type(found) is type(count)


@pytest.mark.parametrize("value", ["8.5", 8.5, True, "", "x", [1], "inf", 10**400, float("inf")])
def test_what_is_no_whole_number(value):
    with pytest.raises(InputError, match=r"it\.count is .*; expected a whole number"):
        build_section(Flags, {"count": value}, "it")


@pytest.mark.parametrize("value", ["a\0b", "\0", "\ud83d", "out/\udcff"])
def test_text_that_no_path_can_be_is_refused_by_its_name(value, tmp_path):
    for key in ("output_dir", "train_file", "model_name_or_path"):
        given = {"output_dir": "o", "train_file": "t", "model_name_or_path": "m", "do_train": True}
        path = tmp_path / "flags.json"
        path.write_text(json.dumps(given | {key: value}))
        with pytest.raises(InputError, match=rf"flags\.json: {key} is .*; expected "):
            parse(CommonArguments, "", [str(path)])
    with pytest.raises(InputError, match="--output_dir is "):
        parse(CommonArguments, "", ["--output_dir", value, "--do_train", "--model_name_or_path=m"])


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({LONG: 1}, "unknown key 'xxx"),
        ({"name": "n", "kind": LONG}, "p: t.kind is 'xxx"),
        ({"name": [LONG]}, r"p: t.name is \['xxx"),
        ({"name": "n", "parts": {"a": {"size": LONG}}}, "p: t.parts.a.size is 'xxx"),
        ({"name": "n", "parts": {"a": {"size": 1, LONG: 2}}}, "unknown key 'xxx"),
    ],
)
def test_a_megabyte_is_not_printed_as_a_whole(mapping, said):
    with pytest.raises(InputError, match=said) as error:
        build_section(Whole, mapping, "p: t")
    assert len(str(error.value)) < 400
    assert "..." in str(error.value)
