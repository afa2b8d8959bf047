"""How a refusal is printed: one line, of a bounded length, whatever the input holds."""

import pytest

from stages.core.errors import InputError, command, nearest, one_line, quoted


@pytest.mark.parametrize("value", ["a" * 78, "it's", 1, 1.5, None, ["x"], "é😀"])
def test_a_short_value_is_quoted_as_it_is(value):
    assert quoted(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    ["a" * 1_000_000, b"a" * 1_000_000, list(range(100_000)), {"k": "v" * 1_000_000}, "\0" * 79],
    ids=["text", "bytes", "list", "mapping", "escapes"],
)
def test_a_long_value_loses_its_middle(value):
    text = quoted(value)
    assert len(text) == 80
    head, tail = text.split("...")
    assert repr(value).startswith(head)
    assert repr(value).endswith(tail)


def test_the_limit_is_a_choice():
    assert quoted("abcdefghijkl", 10) == "'abc...kl'"


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [(10**5000, "<int>"), ([10**5000], "<list>"), (_nested(100_000), "<list>")],
    ids=["digits", "digits in a list", "depth"],
)
def test_a_value_that_python_does_not_write_is_named_by_its_type(value, text):
    assert quoted(value) == text


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a\nerror: b", r"a\nerror: b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\ud83d", r"\ud83d"),
        ("a\u2028b\rc\0", r"a\u2028b\rc\x00"),
        ("Zoë 😀 = 5 €", "Zoë 😀 = 5 €"),
    ],
)
def test_a_message_is_one_line_that_cannot_steer_the_terminal(message, line, capsys):
    assert one_line(message) == line

    @command
    def main():
        raise InputError(message)

    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_name_of_a_megabyte_has_no_neighbour_and_takes_no_time():
    assert nearest("a" * 1_000_000, ["a" * 999_999]) == ""
    assert nearest("lerning_rate", ["learning_rate"]) == "; did you mean 'learning_rate'?"


def _long(folder):
    (folder / ("x" * 300)).mkdir()


def _loop(folder):
    (folder / "loop").symlink_to("loop")
    (folder / "loop").open()


def _below_a_file(folder):
    (folder / "file").touch()
    (folder / "file/deeper").mkdir()


def _folder_as_file(folder):
    (folder / "folder").mkdir()
    (folder / "folder").open("w")


def _dangling(folder):
    (folder / "link").symlink_to("gone")
    (folder / "link").mkdir(parents=True)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (_long, "File name too long; give a shorter path"),
        (_loop, "Too many levels of symbolic links; give a path without"),
        (_below_a_file, "Not a directory; a file stands where a folder should"),
        (_folder_as_file, "Is a directory; a folder stands where a file should"),
        (_dangling, "File exists; something else has that name"),
    ],
)
def test_a_path_that_is_none_is_one_line(act, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        command(act)(tmp_path)
    assert stop.value.code == 1
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert len(line) < 400
