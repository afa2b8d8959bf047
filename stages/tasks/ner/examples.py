"""Sentences of named-entity recognition: words and their tags, cut into windows of tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.core.errors import InputError
from stages.data.tables import Table, choose_columns, read_json
from stages.data.text import read_text

OUTSIDE = "O"

_JSON = (".json", ".jsonl")
_TAG = re.compile(r"O|[BIES]-\S.*")
_DOCUMENT_START = "-DOCSTART-"


@dataclass
class Examples:
    """Words and tags, one entry a sentence.

    tokens: the words of each sentence.
    tags: the name of each word's tag, as long as `tokens`; None where there are none.
    table: where each sentence comes from.
    """

    tokens: list[list[str]]
    tags: list[list[str]] | None
    table: Table

    def __len__(self) -> int:
        return len(self.tokens)

    def where(self, row: int) -> str:
        """The place of a sentence for a message."""
        return self.table.where(row)

    def first(self, count: int | None) -> "Examples":
        """The first `count` sentences; all of them for None."""
        tags = None if self.tags is None else self.tags[:count]
        return Examples(self.tokens[:count], tags, self.table.first(count))


def read_examples(
    path: str | Path | Table,
    *,
    limit: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_list: list[str] | None = None,
    needs_labels: bool = True,
) -> Examples:
    """Read and check sentences from JSON (.json, .jsonl), a table, or a CoNLL text file.

    In JSON a row has a list of words and a list of tags: the columns given, else `tokens` and
    `ner_tags`, else the next in order. Any other file has a word a line, its tag in the last
    column behind tabs or spaces, and a blank line between sentences; document marks are left
    out.

    Args:
        path: the file, or rows from elsewhere.
        limit: keep only the first `limit` sentences; all are checked.
        text_column, label_column: the user's names.
        label_list: the tags there may be; tags that are whole numbers are places in it.
        needs_labels: whether rows without tags are refused.

    Raises:
        InputError: naming row and word: no words, a word that is no text or is empty, more or
            fewer tags than words, a tag that is neither `O` nor B-, I-, E- or S- with a type
            (the schemes that seqeval reads), or one that is not in `label_list`.
    """
    if not isinstance(path, Table):
        extension = Path(path).suffix.lower()
        if extension == ".csv":
            raise InputError(f"{path}: a CSV cell holds no list of words; use JSON lines or CoNLL")
        table = read_json(path) if extension in _JSON else _read_conll(path, needs_labels)
    else:
        table = path
    flags = {"text_column_name": text_column}
    # Without need for tags a column counts only if it is given or has the usual name.
    if needs_labels or label_column is not None or "ner_tags" in table.columns:
        flags["label_column_name"] = label_column
    chosen = choose_columns(table, flags, ("tokens", "ner_tags")[: len(flags)])
    text_column, label_column = chosen["text_column_name"], chosen.get("label_column_name")
    words = [_words(table, row, text_column) for row in range(len(table))]
    tags = None
    if label_column is not None:
        tags = [
            _tags(table, row, label_column, len(words[row]), label_list)
            for row in range(len(table))
        ]
    return Examples(words, tags, table).first(limit)


def _read_conll(path: str | Path, needs_labels: bool) -> Table:
    rows, starts, words, tags = [], [], [], []
    lines = read_text(path)
    for number, line in enumerate([*lines, ""], 1):
        # Not str.strip: a no-break space can be the word itself. WNUT-17 has blank lines that
        # hold a tab.
        if not line.strip(" \t"):
            if words and words != [_DOCUMENT_START]:
                rows.append({"tokens": words, "ner_tags": tags} if tags else {"tokens": words})
                starts.append(number - len(words))
            words, tags = [], []
            continue
        cells = line.rstrip(" ").split("\t") if "\t" in line else re.split(" +", line.strip(" "))
        if len(cells) > 1:
            tags.append(cells[-1])
        if len(tags) != len(words) + 1 and (needs_labels or tags):
            raise InputError(f"{path}, line {number}: no tag behind the word {cells[0]!r}")
        words.append(cells[0])
    if not rows:
        raise InputError(f"{path}: no sentences")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Table(str(path), columns, rows, starts)


def _words(table: Table, row: int, column: str) -> list[str]:
    words = table.rows[row].get(column)
    if not isinstance(words, list):
        raise InputError(
            f"{table.where(row)}: {column!r} is {_short(words)}; expected a list of words "
            "(name its column with --text_column_name)"
        )
    if not words:
        raise InputError(f"{table.where(row)}: {column!r} is empty; expected at least one word")
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(f"{table.where(row)}: word {place} is {_short(word)}; expected text")
        if not word:
            raise InputError(f"{table.where(row)}: word {place} is empty")
    return words


def _tags(
    table: Table, row: int, column: str, words: int, label_list: list[str] | None
) -> list[str]:
    tags = table.rows[row].get(column)
    if not isinstance(tags, list):
        raise InputError(
            f"{table.where(row)}: {column!r} is {_short(tags)}; expected a list of tags "
            "(name its column with --label_column_name)"
        )
    if len(tags) != words:
        raise InputError(f"{table.where(row)}: {words} words but {len(tags)} tags")
    return [_tag(table, row, place, tag, label_list) for place, tag in enumerate(tags)]


def _tag(table: Table, row: int, place: int, tag, label_list: list[str] | None) -> str:
    where = f"{table.where(row)}, word {place}"
    if isinstance(tag, int) and not isinstance(tag, bool):
        if label_list is None:
            raise InputError(f"{where}: the tag is the number {tag}; write the tags' names instead")
        if not 0 <= tag < len(label_list):
            raise InputError(f"{where}: the tag is {tag}; there are {len(label_list)} tags")
        return label_list[tag]
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise InputError(
            f"{where}: the tag is {_short(tag)}; expected O, or B-, I-, E- or S- and a type"
        )
    if label_list is not None and tag not in label_list:
        raise InputError(
            f"{where}: the tag {tag!r} is none of those known: {', '.join(label_list)}"
        )
    return tag


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def label_list(tags: Sequence[Sequence[str]]) -> list[str]:
    """The different tags, sorted by code points, so that rows in any order give the same list."""
    return sorted({tag for sentence in tags for tag in sentence})


def encode_tags(examples: Examples, names: list[str]) -> list[np.ndarray]:
    """The place in `names` of each word's tag: an int32 array [words] a sentence.

    Raises:
        InputError: a tag that is not in `names`, with row, word and list.
    """
    places = {name: place for place, name in enumerate(names)}
    encoded = []
    for row, tags in enumerate(examples.tags):
        for word, tag in enumerate(tags):
            if tag not in places:
                raise InputError(
                    f"{examples.where(row)}, word {word}: the tag {tag!r} is none of those "
                    f"known: {', '.join(names)}"
                )
        encoded.append(np.array([places[tag] for tag in tags], dtype=np.int32))
    return encoded
