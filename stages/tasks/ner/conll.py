"""Words and tags from the text files of the CoNLL shared tasks, a word a line."""

import itertools
import re
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.data.spool import Spool
from stages.data.tables import Table, refuse_json
from stages.data.text import read_lines

_DOCUMENT_START = "-DOCSTART-"
# 12, 3-4, 1.2, w7, #5: what columns hold that number words or sentences, and no column of words.
_NUMBERING = re.compile(r"\W?[A-Za-z]{0,6}[-_.:#]?[0-9]+([-_.:][A-Za-z]?[0-9]+)*\W?")


def read_conll(
    path: str | Path, text_column: str | None, label_column: str | None, *, needs_labels: bool
) -> tuple[Table, dict[str, str]]:
    """The sentences of a file, with the columns `tokens` and, if there are tags, `ner_tags`.

    A blank line ends a sentence. Columns are parted by tabs, or by spaces where a line has no tab.
    Document marks are left out, and so are lines that begin with # where words do not stand first.

    Args:
        path: the file.
        text_column, label_column: the number of the words' column and of that of the tags, from
            1; None for the first and the last.
        needs_labels: whether a word without a tag is refused. If not, a sentence has tags only
            where each word has one.

    Returns:
        The sentences, and the number of the column that was read as each; the last column is
        `last` where lines have more and fewer.

    Raises:
        InputError: what `read_lines` refuses; JSON; no sentences; a line without a column that is
            asked for; a column of words that numbers them; a word without a tag.
    """
    refuse_json(path)
    place = _place(path, text_column, "text_column_name")
    tag_place = _place(path, label_column, "label_column_name")
    rows, first_column = Spool(), _FirstColumn()
    has_tags = False
    widths: set[int] = set()
    sentence: list[list[str]] = []
    start, size = 1, 0
    for number, line in enumerate(itertools.chain(read_lines(path), [""]), 1):
        # Not str.strip: a no-break space can be the word itself. WNUT-17 has blank lines that
        # hold a tab.
        if not line.strip(" \t"):
            if sentence and [cells[0] for cells in sentence] != [_DOCUMENT_START]:
                row = _row(sentence, place or 0, tag_place)
                rows.append(row, start, size)
                has_tags = has_tags or "ner_tags" in row
                first_column.add(sentence)
            sentence, size = [], 0
            continue
        cells = line.rstrip(" ").split("\t") if "\t" in line else re.split(" +", line.strip(" "))
        if place and cells[0].startswith("#"):
            continue
        where = f"{path}, line {number}"
        if max(place or 0, tag_place or 0) >= len(cells):
            raise InputError(
                f"{where}: {len(cells)} columns, of which --text_column_name {text_column or 1} "
                f"and --label_column_name {label_column or len(cells)} are to be read"
            )
        if needs_labels and len(cells) == 1:
            raise InputError(f"{where}: no tag behind the word {quoted(cells[0])}")
        start = start if sentence else number
        sentence.append(cells)
        widths.add(len(cells))
        size += len(line)
    if not rows:
        raise InputError(f"{path}: no sentences")
    if place is None:
        first_column.refuse_numbering(path)
    columns = {"tokens": text_column or "1"}
    if has_tags:
        last = str(max(widths)) if len(widths) == 1 else "last"
        columns["ner_tags"] = label_column or last
    return Table(str(path), list(columns), rows, rows.lines, ["tokens"]), columns


def _place(path: str | Path, column: str | None, flag: str) -> int | None:
    if column is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,3}", column):
        raise InputError(
            f"{path}: --{flag} is {quoted(column)}; the columns of CoNLL text have no names, give "
            "the number of one, from 1"
        )
    return int(column) - 1


class _FirstColumn:
    """What the first cells of all lines have in common."""

    def __init__(self):
        self._words = 0
        self._first: list[str] = []
        self._alone = False
        self._numbering = True
        self._same = True

    def add(self, sentence: list[list[str]]) -> None:
        self._first = self._first or sentence[0]
        self._words += len(sentence)
        for cells in sentence:
            self._alone = self._alone or len(cells) < 2
            self._numbering = self._numbering and bool(_NUMBERING.fullmatch(cells[0]))
            self._same = self._same and cells[0] == self._first[0]

    def refuse_numbering(self, path: str | Path) -> None:
        """Refuse a first column that counts, beside others of which one must hold the words."""
        if self._words < 2 or self._alone:
            return
        if self._numbering:
            reason = "numbers the words"
        elif len(self._first) > 2 and self._words > 5 and self._same:
            reason = "is the same on every line"
        else:
            return
        raise InputError(
            f"{path}: the first column, {quoted(self._first[0])} and so on, {reason}; give the "
            "number of the words' column, from 1, as --text_column_name, and of the tags' as "
            "--label_column_name"
        )


def _row(sentence: list[list[str]], place: int, tag: int | None) -> dict[str, list[str]]:
    row = {"tokens": [cells[place] for cells in sentence]}
    if all(len(cells) > 1 for cells in sentence):
        row["ner_tags"] = [cells[-1 if tag is None else tag] for cells in sentence]
    return row
