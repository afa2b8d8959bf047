"""The parameter file: the strict reader, and which task a section runs."""

import time

import pytest

from stages.core.errors import InputError
from stages.core.params import parse_params, task_enabled, task_of

TASKS = ("glue", "clm", "speech")


def test_what_is_merged_in_may_be_overwritten_wherever_it_is_read():
    text = b"x: {y: &b {<<: &a {s: 1, t: 1}, s: 3}}\nz: {<<: *b}\n"
    assert parse_params(text, "p") == {"x": {"y": {"s": 3, "t": 1}}, "z": {"s": 3, "t": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1\n---\nb: 1", "p, line 2: but found another document"),
        (b"a: !!python/object:os.system 1", "p, line 1: could not determine a constructor"),
        (b"? [a, b]\n: 1", "p, line 1: found unhashable key"),
        (b"[1]", "p: expected a mapping at the top"),
        (b"a: \xff", "p: not UTF-8 at byte 3; save it as UTF-8"),
    ],
)
def test_text_that_is_no_parameter_file(text, said):
    with pytest.raises(InputError) as caught:
        parse_params(text, "p")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def bomb(first: str, rest: str) -> bytes:
    """A few lines of which each stands for nine times the one before it."""
    lines = [f"a0: &a0 {first}"]
    for number in range(1, 40):
        names = [f"*a{number - 1}"] * 9
        lines.append(f"a{number}: &a{number} {rest % ', '.join(names)}")
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb("[x]", "[%s]"), "stands for more than 200000 values"),
        (bomb("{x: 1}", "{<<: [%s]}"), "stands for more than 200000 values"),
        (bomb("{x: 1}", "{x: [%s]}"), "stands for more than 200000 values"),
        (b"a: &a [*a]", "p, line 1: an alias stands within what it is an alias of"),
        (b"a: &a {b: {<<: *a}}", "p, line 1: an alias stands within what it is an alias of"),
        (b"a: " + b"[" * 60 + b"]" * 60, "p: nested too deeply"),
        (b"a: " + b"[" * 100_000, "p: nested too deeply"),
        (b"a:\n" + b"\n".join(b" " * i + b"k:" for i in range(1, 200)), "p: nested too deeply"),
        (b"a: " + b"9" * 1_000_000, "put the value in quotation marks"),
        (b'a: !!int ""', "p: a value is not of the type that its tag names"),
        (b"a: !!bool maybe", "p: a value is not of the type that its tag names"),
        (b"a: !!timestamp soon", "p: a value is not of the type that its tag names"),
        (b'a: "\\UFFFFFFFF"', "p: a value is not of the type that its tag names"),
    ],
)
def test_text_that_is_small_and_stands_for_too_much(text, said):
    started = time.perf_counter()
    with pytest.raises(InputError) as caught:
        parse_params(text, "p")
    assert time.perf_counter() - started < 1
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_of_what_is_small_stay():
    assert parse_params(b"a: &a [1, 2]\nb: [*a, *a]", "p")["b"] == [[1, 2], [1, 2]]


def test_the_task_of_a_section():
    params = {"tasks": {"glue": {}, "reviews": {"task": "glue"}, "clm": {"task": "speech"}}}
    assert [task_of(params, name, TASKS) for name in params["tasks"]] == ["glue", "glue", "speech"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gleu", {}, "params.yaml: tasks: unknown key 'gleu'; did you mean 'glue'?; or add `task:"),
        ("it", {"task": "gleu"},
         "params.yaml: tasks.it.task is 'gleu'; expected one of glue, clm, speech; did you mean"),
        ("it", {"task": None}, "params.yaml: tasks.it.task is None; expected one of glue, clm"),
        ("it", {"task": ["glue"]}, "params.yaml: tasks.it.task is ['glue']; expected one of"),
        ("speech", {"task": "translate"}, "write speech_task for Whisper's"),
        ("it", 3, "params.yaml: tasks.it is not a mapping"),
    ],
)  # fmt: skip
def test_a_section_of_no_task(name, content, said):
    with pytest.raises(InputError) as caught:
        task_of({"tasks": {name: content}}, name, TASKS)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "enabled"),
    [({}, True), ({"enabled": False}, False), ({"enabled": "no"}, False), (None, True)],
)
def test_the_switch_of_a_task(content, enabled):
    assert task_enabled({"tasks": {"it": content}}, "it") is enabled
    assert task_enabled({}, "it") is True
