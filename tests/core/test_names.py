"""Names and paths of `params.yaml`: what a shell or a folder would take for something else."""

import shlex

import pytest

from stages.core.errors import InputError
from stages.core.names import check_name, check_path, check_scalar
from stages.core.params import names, section

HOSTILE = [
    "x; touch made", "$(touch made)", "`touch made`", "x && y", "x|y", "x > y", "x\ny", "x\0y",
    "${unrolled}", "%x", "x*", "x?", "[x]", "{x,y}", "!x", "#x", "x'y", 'x"y', "x\\y", "x:y",
    "s3://bucket/x", "-x", "a/-x", " x", "x ", "a/ x",
]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "A9_", "t5-small", "x" * 64])
def test_a_name(name):
    check_name(name, "p.yaml: checkpoints")


@pytest.mark.parametrize("name", [*HOSTILE, "", "a b", "../x", "a/b", "9a", "ä", "a.b", "x" * 65])
def test_no_name(name):
    with pytest.raises(InputError, match=r"^p\.yaml: checkpoints: ") as caught:
        check_name(name, "p.yaml: checkpoints")
    assert "\n" not in str(caught.value)
    assert "; use " in str(caught.value)


@pytest.mark.parametrize("name", [7, 1.5, True, None, ("a", "b")])
def test_a_key_that_is_not_text(name):
    with pytest.raises(InputError) as caught:
        check_name(name, "p.yaml: tasks", hyphen=False)
    assert str(caught.value) == (
        f"p.yaml: tasks: {name!r} is not text, and so no name; use letters, digits and _, and "
        "begin with a letter"
    )


def test_what_is_wrong_with_a_dot():
    with pytest.raises(InputError) as caught:
        check_name("t5-v1.1", "p.yaml: checkpoints")
    assert str(caught.value) == (
        "p.yaml: checkpoints: 't5-v1.1' cannot name stages and folders (a dot separates the "
        "levels of a parameter); use letters, digits, _ and -, and begin with a letter"
    )


@pytest.mark.parametrize("name", ["newsroom", "start", "a-7"])
def test_a_name_of_another_stage(name):
    assert names({"checkpoints": {name: {}}}, "checkpoints") == [name]
    with pytest.raises(InputError, match=f"^params.yaml: tasks: '{name}' "):
        names({"tasks": {name: {}}}, "tasks")


@pytest.mark.parametrize(
    ("dotted", "said"),
    [
        ("checkpoints.t5-v1.1", "p: checkpoints: 't5-v1.1' cannot name stages and folders (a dot"),
        ("checkpoints.t5-v1.1.id", "p: checkpoints: 't5-v1.1' cannot name stages"),
        ("checkpoints.7", "p: checkpoints: 7 is not text, and so no name"),
        ("checkpoints.True", "p: checkpoints: True is not text"),
        ("checkpoints.a b", "p: checkpoints.a b is not a mapping"),
        ("checkpoints.8", "p: no '8' under checkpoints"),
        ("checkpoints.t5", "p: no 't5' under checkpoints"),
    ],
)
def test_a_section_by_a_name_that_is_none(dotted, said):
    content = {"checkpoints": {"t5-v1.1": {"id": "a/b"}, 7: {}, True: {}, "": {}, "a b": 1}}
    with pytest.raises(InputError) as caught:
        section(content, dotted, "p")
    assert str(caught.value).startswith(said)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["mine", "my data/a b", "models/start/t5-small", "./a", "a/", "données/x.txt", "a,b+c=@"],
)
def test_a_path(path):
    assert check_path(path, "p.yaml: text") == path
    assert shlex.split(f"--text '{path}'") == ["--text", path]
    check_scalar(path, "tasks.yaml")


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_is_code(path):
    with pytest.raises(InputError, match=r"^p\.yaml: text: .* cannot be a part of a command; ren"):
        check_path(path, "p.yaml: text")


@pytest.mark.parametrize(
    "path", ["/etc", "..", "../x", "a/../../x", "a/..", "~/x", "~root/x", "//x"]
)
def test_a_path_outside(path):
    with pytest.raises(InputError, match=r"^p\.yaml: text: .* is outside the project; make a link"):
        check_path(path, "p.yaml: text")


@pytest.mark.parametrize(
    ("path", "said"), [(None, "is missing"), ("", "is missing"), (7, "is 7; expected text"),
                       (["a"], "is ['a']; expected text"), (True, "is True; expected text")],
)  # fmt: skip
def test_no_path(path, said):
    with pytest.raises(InputError) as caught:
        check_path(path, "p.yaml: text")
    assert str(caught.value).startswith(f"p.yaml: text {said}")


@pytest.mark.parametrize("value", ["x; y", "$(x)", "a/../b", "..", "x'y", ["$x"], "x\ny"])
def test_a_scalar_that_is_code(value):
    with pytest.raises(InputError, match=r"^tasks\.yaml: .* cannot be a part of a command"):
        check_scalar(value, "tasks.yaml")


@pytest.mark.parametrize("value", ["--do_eval --validation_file", 7, "stages.core.versions", ""])
def test_a_scalar(value):
    check_scalar(value, "tasks.yaml")
