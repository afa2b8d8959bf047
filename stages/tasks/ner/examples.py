"""Sentences of named-entity recognition: words and their tags, cut into windows of tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.core.errors import InputError, quoted, shortened
from stages.data.tables import JSON, Table, choose_columns, is_placeholder, read_json
from stages.tasks.ner.conll import read_conll

OUTSIDE = "O"

_TAG = re.compile(r"O|[BIES]-\S.*")


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
    `ner_tags`, else the next in order. Any other file is CoNLL text: a word a line, in the first
    column, its tag in the last one, and a blank line between sentences. There a column is given
    by its number, from 1.

    Args:
        path: the file, or rows from elsewhere.
        limit: keep only the first `limit` sentences; all are checked.
        text_column, label_column: the user's names.
        label_list: the tags there may be; tags that are whole numbers are places in it.
        needs_labels: whether rows without tags are refused. If not, tags are kept only where all
            rows have them, and no placeholders.

    Raises:
        InputError: naming row and word: no words, a word that is no text or is empty, more or
            fewer tags than words, a tag that is neither `O` nor B-, I-, E- or S- with a type
            (the schemes that seqeval reads), or one that is not in `label_list`.
    """
    if not isinstance(path, Table):
        extension = Path(path).suffix.lower()
        if extension == ".csv":
            raise InputError(f"{path}: a CSV cell holds no list of words; use JSON lines or CoNLL")
        if extension in JSON:
            table = read_json(path)
        else:
            table = read_conll(path, text_column, label_column, needs_labels=needs_labels)
            text_column = label_column = None
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
    hidden = not needs_labels and any(_hidden(row.get(label_column)) for row in table.rows)
    if label_column is not None and not hidden:
        tags = [
            _tags(table, row, label_column, len(words[row]), label_list)
            for row in range(len(table))
        ]
    return Examples(words, tags, table).first(limit)


def _words(table: Table, row: int, column: str) -> list[str]:
    words = table.rows[row].get(column)
    if not isinstance(words, list):
        raise InputError(
            f"{table.where(row)}: {quoted(column)} is {quoted(words)}; expected a list of words "
            "(name its column with --text_column_name)"
        )
    if not words:
        raise InputError(
            f"{table.where(row)}: {quoted(column)} is empty; expected at least one word"
        )
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(f"{table.where(row)}: word {place} is {quoted(word)}; expected text")
        if not word:
            raise InputError(f"{table.where(row)}: word {place} is empty")
    return words


def _hidden(tags) -> bool:
    return is_placeholder(tags) or (isinstance(tags, list) and any(map(is_placeholder, tags)))


def _tags(
    table: Table, row: int, column: str, words: int, label_list: list[str] | None
) -> list[str]:
    tags = table.rows[row].get(column)
    if not isinstance(tags, list):
        raise InputError(
            f"{table.where(row)}: {quoted(column)} is {quoted(tags)}; expected a list of tags "
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
            f"{where}: the tag is {quoted(tag)}; expected O, or B-, I-, E- or S- and a type"
        )
    if label_list is not None and tag not in label_list:
        raise InputError(
            f"{where}: the tag {quoted(tag)} is none of those known: "
            f"{shortened(', '.join(label_list), 400)}"
        )
    return tag


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
                    f"{examples.where(row)}, word {word}: the tag {quoted(tag)} is none of those "
                    f"known: {shortened(', '.join(names), 400)}"
                )
        encoded.append(np.array([places[tag] for tag in tags], dtype=np.int32))
    return encoded
