"""Tables of text: the exact characters, since committed cards and other programs hold them."""

from stages.core.text_table import difference, format_change, markdown_table, plain_table


def test_columns_are_padded_and_cells_stay_as_written():
    rows = [["task", "value", "verdict"], ["a", "1e-05", ""], ["longer", "0.10", "holds"]]
    assert plain_table(rows) == "task    value  verdict\na       1e-05\nlonger  0.10   holds"


def test_colours_take_no_room():
    rows = [["ab", "\033[31mbad\033[0m", "x"], ["a", "fine", "y"]]
    assert plain_table(rows) == "ab  \033[31mbad\033[0m   x\na   fine  y"


def test_markdown_pads_nothing():
    table = markdown_table(["", "metric"], [[1, "0.10"], ["long", ""], [None, "a  b "]])
    assert table == "|  | metric |\n| --- | --- |\n| 1 | 0.10 |\n| long |  |\n| None | a  b  |"
    assert markdown_table(["a"], []) == "| a |\n| --- |"


def test_a_change_is_exact_in_the_digits_written():
    assert str(difference(0.1, 0.3)) == "0.2"
    assert format_change(0.9, 0.75) == "-0.15"
    assert format_change(1, 1) == "+0"
    assert difference(None, 1) is None
    assert format_change(1, None) == ""
