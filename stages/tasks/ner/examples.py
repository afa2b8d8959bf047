"""Sentences of named-entity recognition: words and their tags, cut into windows of tokens."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.errors import InputError, quoted, shortened
from stages.data.cache import UNCACHED, RowCache
from stages.data.columns import Role, choose_columns, holds_lists
from stages.data.rows import StoredRows, place_column, write_rows
from stages.data.store import Store
from stages.data.tables import JSON, Table, read_json
from stages.data.views import Mapped
from stages.data.writer import Writer, build_store
from stages.tasks.ner.conll import read_conll
from stages.tasks.ner.tags import Tags, Where, check_tags, hides

TOKENS = Role("tokens", "text_column_name", ("tokens", "words"), holds_lists)
TAGS = Role("ner_tags", "label_column_name", ("ner_tags", "ner", "tags"), holds_lists)


class Examples(StoredRows):
    """Words and tags, one entry a sentence, read from a store.

    tokens: the words of each sentence.
    tags: the name of each word's tag, as long as `tokens`; None where there are none.
    classes: all tags there may be, where the source tells them.
    columns: which column of the file is `tokens` and `ner_tags`; of CoNLL text their numbers.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    roles = (TOKENS, TAGS)

    def __init__(self, path: str, store: Store):
        super().__init__(path, store)
        self.tokens = store.column("tokens")
        self.tags = None
        self.classes: list[str] | None = store.metadata["classes"]
        if "tags" in store.names:
            self.tags = Tags(store.column("tags"), store.metadata["names"])

    @property
    def named_columns(self) -> dict[str, str]:
        """As in `ChosenColumns`; none of CoNLL text, whose columns go by their place."""
        return {} if self.columns[TOKENS.name].isdecimal() else super().named_columns


def read_examples(
    path: str | Path | Table,
    *,
    cache: RowCache = UNCACHED,
    limit: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_list: list[str] | None = None,
    needs_labels: bool = True,
    source_columns: Mapping[str, str] | None = None,
) -> Examples:
    """Read and check sentences from JSON (.json, .jsonl), a table, or a CoNLL text file.

    In JSON a row has a list of words and a list of tags: the columns given, else those of a known
    name, else the only ones with lists. Any other file is CoNLL text: a word a line, in the first
    column, its tag in the last one, and a blank line between sentences. There a column is given
    by its number, from 1.

    Args:
        path: the file, or rows from elsewhere.
        cache: keeps the rows.
        limit: keep only the first `limit` sentences; all are checked.
        text_column, label_column: the user's names.
        label_list: the tags there may be; tags that are whole numbers are places in it.
        needs_labels: whether rows without tags are refused. If not, tags are kept only where all
            rows have them, and no placeholders.
        source_columns: as in `choose_columns`; of no meaning for CoNLL text.

    Raises:
        InputError: naming row and word: no words, a word that is no text or is empty, more or
            fewer tags than words, a tag that is neither `O` nor B-, I-, E- or S- with a type
            (the schemes that seqeval reads), or one that is not in `label_list`.
    """
    options = {
        "limit": limit,
        "text_column": text_column,
        "label_column": label_column,
        "label_list": label_list,
        "needs_labels": needs_labels,
        "source_columns": source_columns,
    }
    if isinstance(path, Table):
        return Examples(path.path, build_store(partial(_write, table=path, **options)))

    def build(writer: Writer) -> dict:
        extension = Path(path).suffix.lower()
        if extension == ".csv":
            raise InputError(f"{path}: a CSV cell holds no list of words; use JSON lines or CoNLL")
        if extension in JSON:
            return _write(writer, read_json(path), **options)
        table, columns = read_conll(path, text_column, label_column, needs_labels=needs_labels)
        unnamed = dict.fromkeys(("text_column", "label_column", "source_columns"))
        return {**_write(writer, table, **options | unnamed), "columns": columns}

    return Examples(str(path), cache.file_rows("ner", path, options, build))


def _write(
    writer: Writer,
    table: Table,
    *,
    limit: int | None,
    text_column: str | None,
    label_column: str | None,
    label_list: list[str] | None,
    needs_labels: bool,
    source_columns: Mapping[str, str] | None,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    given = {TOKENS.flag: text_column, TAGS.flag: label_column}
    optional = () if needs_labels else (TAGS,)
    chosen = choose_columns(
        table, Examples.roles, given, optional=optional, source_columns=source_columns
    )
    text_column, label_column = chosen[TOKENS.name], chosen.get(TAGS.name)
    hidden = not needs_labels and any(map(hides, table.values(label_column)))
    tagged = label_column is not None and not hidden
    codes: dict[str, int] = {}
    place_name, place_type, places = place_column(table)

    def rows() -> Iterator[tuple]:
        for number, (row, place) in enumerate(zip(table.rows, places, strict=True)):
            where = partial(table.where, number)
            words, tags = _words(where, row.get(text_column), text_column), None
            if tagged:
                names = check_tags(
                    where, row.get(label_column), label_column, len(words), label_list
                )
                tags = [codes.setdefault(name, len(codes)) for name in names]
            if limit is None or number < limit:
                yield words, tags, place

    types = {"tokens": pa.list_(pa.string()), "tags": pa.list_(pa.int32())}
    types[place_name] = place_type
    if tagged:
        write_rows(writer, types, rows())
    else:
        del types["tags"]
        write_rows(writer, types, ((words, place) for words, _, place in rows()))
    return {
        "names": list(codes),
        "classes": sorted(table.classes.get(label_column, ())) or None,
        "columns": chosen,
    }


def _words(where: Where, words: Any, column: str) -> list[str]:
    if not isinstance(words, list):
        raise InputError(
            f"{where()}: {quoted(column)} is {quoted(words)}; expected a list of words "
            "(name its column with --text_column_name)"
        )
    if not words:
        raise InputError(f"{where()}: {quoted(column)} is empty; expected at least one word")
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(f"{where()}: word {place} is {quoted(word)}; expected text")
        if not word:
            raise InputError(f"{where()}: word {place} is empty")
    return words


def encode_tags(examples: Examples, names: list[str]) -> Mapped:
    """The place in `names` of each word's tag: an int32 array [words] a sentence.

    Raises:
        InputError: a tag that is not in `names`, with row, word and list.
    """
    known = {name: place for place, name in enumerate(names)}
    places = np.array([known.get(name, -1) for name in examples.tags.names], np.int32)
    encoded = Mapped(examples.tags.codes, places.__getitem__)
    if (places < 0).any():
        for row, tags in enumerate(encoded):
            for word in np.flatnonzero(tags < 0)[:1]:
                raise InputError(
                    f"{examples.where(row)}, word {word}: the tag "
                    f"{quoted(examples.tags[row][word])} is none of those known: "
                    f"{shortened(', '.join(names), 400)} (--label_names of a training names all)"
                )
    return encoded
