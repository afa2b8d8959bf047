"""Questions, contexts and answers, from the forms in which SQuAD is kept."""

from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.errors import InputError, quoted
from stages.data.cache import UNCACHED, RowCache
from stages.data.rows import StoredRows, write_rows
from stages.data.store import Store
from stages.data.tables import CELLS, Table, is_placeholder, read_json
from stages.data.writer import Writer, build_store


class Examples(StoredRows):
    """Questions and their contexts, one entry a question, read from a store.

    ids, questions, contexts: texts.
    answers: the gold answers' texts of each question, none for an unanswerable one; None where
        the file gives no answers.
    starts: where in the context each of them begins, in characters; None with `answers`.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    def __init__(self, path: str, store: Store):
        super().__init__(path, store)
        self.ids = store.column("id")
        self.questions = store.column("question")
        self.contexts = store.column("context")
        self.answers = self.starts = None
        if store.metadata["answers"]:
            self.answers, self.starts = store.column("answers"), store.column("starts")

    def where(self, row: int) -> str:
        """The place of a question for a message."""
        return f"{self.path}, question {quoted(self.ids[row])}"

    def references(self) -> Iterator[dict]:
        """The gold answers in the form that the metrics take."""
        for name, texts, starts in zip(self.ids, self.answers, self.starts, strict=True):
            yield {"id": name, "answers": {"text": texts, "answer_start": starts.tolist()}}


def read_examples(
    path: str | Path | Table,
    *,
    cache: RowCache = UNCACHED,
    limit: int | None = None,
    version_2_with_negative: bool = False,
    needs_answers: bool = True,
) -> Examples:
    """Read and check a SQuAD file: nested and official, flat under `data`, or JSON lines.

    Flat rows have `id`, `question`, `context` and `answers`, either
    `{"text": [...], "answer_start": [...]}` or a list of `{"text", "answer_start"}`; the nested
    form has `paragraphs` with `context` and `qas`.

    Args:
        path: the file, or flat rows from elsewhere.
        cache: keeps the rows.
        limit: keep only the first `limit` questions; all are checked.
        version_2_with_negative: whether a question may have no answer.
        needs_answers: whether questions must come with answers. If not, answers are kept only
            where the whole file has them, and no placeholders.

    Raises:
        InputError: what `read_json` refuses; a key that is missing or of the wrong type, with
            the place; an id that occurs twice; an answer that is not at its offset; an
            impossible question with answers; one without, where none may be.
    """
    options = {
        "limit": limit,
        "version_2_with_negative": version_2_with_negative,
        "needs_answers": needs_answers,
    }
    if isinstance(path, Table):
        return Examples(path.path, build_store(partial(_write, table=path, **options)))
    if Path(path).suffix.lower() in CELLS:
        raise InputError(f"{path}: a CSV cell holds no list of answers; use SQuAD's JSON")

    def build(writer: Writer) -> dict:
        return _write(writer, read_json(path), **options)

    return Examples(str(path), cache.file_rows("qa", path, options, build))


def _write(
    writer: Writer,
    table: Table,
    *,
    limit: int | None,
    version_2_with_negative: bool,
    needs_answers: bool,
) -> dict:
    """Check the questions and write them; the arguments are those of `read_examples`."""
    complete = True
    hashes = array("q")

    def rows() -> Iterator[tuple]:
        nonlocal complete
        for where, context, row in _questions(table):
            name = _identifier(row, where)
            hashes.append(hash(name))
            where = f"{where}, question {quoted(name)}"
            question = _text(row, "question", where)
            texts, starts = _answers(row, context, where, needs_answers)
            if texts is None or not (texts or version_2_with_negative or needs_answers):
                complete = False
            elif not texts and not version_2_with_negative:
                raise InputError(
                    f"{where}: no answer; add --version_2_with_negative if questions may have none"
                )
            if limit is None or len(hashes) <= limit:
                yield name, question, context, texts or [], starts or []

    types = {
        **dict.fromkeys(("id", "question", "context"), pa.string()),
        "answers": pa.list_(pa.string()),
        "starts": pa.list_(pa.int64()),
    }
    write_rows(writer, types, rows())
    if not hashes:
        raise InputError(f"{table.path}: no questions")
    _refuse_repeats(table, np.array(hashes))
    return {"answers": complete}


def _identifier(row: dict, where: str) -> str:
    name = row.get("id")
    if not isinstance(name, (str, int)) or isinstance(name, bool) or name == "":
        raise InputError(f"{where}: 'id' is {_shown(name)}; expected text")
    return str(name)


def _refuse_repeats(table: Table, hashes: np.ndarray) -> None:
    """Refuse an id that occurs twice.

    Args:
        table: the rows.
        hashes: int64 array [questions], of their ids: a set of all the texts would be large.
    """
    different, counts = np.unique(hashes, return_counts=True)
    if len(different) == len(hashes):
        return
    several = set(different[counts > 1].tolist())
    seen: dict[str, str] = {}
    for where, _, row in _questions(table):
        name = _identifier(row, where)
        if name in seen:
            raise InputError(f"{where}: the id {quoted(name)} is already that of {seen[name]}")
        if hash(name) in several:
            seen[name] = where


def _questions(table: Table) -> Iterator[tuple[str, str, dict]]:
    """Place, context and mapping of each question, whatever the form."""
    if "paragraphs" not in table.columns:
        for index, row in enumerate(table.rows):
            yield table.where(index), _text(row, "context", table.where(index)), row
        return
    for article, row in enumerate(table.rows):
        for index, paragraph in enumerate(_objects(row, "paragraphs", table.where(article))):
            where = f"{table.path}, data[{article}].paragraphs[{index}]"
            context = _text(paragraph, "context", where)
            for number, question in enumerate(_objects(paragraph, "qas", where)):
                yield f"{where}.qas[{number}]", context, question


def _objects(row: dict, key: str, where: str) -> list[dict]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{where}: {quoted(key)} is {_shown(value)}; expected a list of objects")
    return value


def _text(row: dict, key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {quoted(key)} is {_shown(value)}; expected text")
    return value


def _answers(
    row: dict, context: str, where: str, needed: bool
) -> tuple[list[str] | None, list[int] | None]:
    """Texts and offsets of the answers; (None, None) where there may be none and there are none."""
    answers = row.get("answers")
    if not needed and is_placeholder(answers) and answers != []:
        return None, None
    texts, starts = _answer_columns(answers, where)
    if not needed and any(map(is_placeholder, texts)):
        return None, None
    if row.get("is_impossible") and texts:
        raise InputError(
            f"{where}: 'is_impossible' is set, but there is the answer {quoted(texts[0])}"
        )
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text:
            raise InputError(f"{where}: an answer's text is {_shown(text)}; expected text")
        if not isinstance(start, int) or isinstance(start, bool) or start < 0:
            raise InputError(f"{where}: 'answer_start' is {_shown(start)}; expected an offset")
        found = context[start : start + len(text)]
        if found != text:
            raise InputError(
                f"{where}: the answer {_shown(text)} is not at {start} of the context; "
                f"there is {_shown(found)}"
            )
    return texts, starts


def _answer_columns(answers: Any, where: str) -> tuple[list, list]:
    if isinstance(answers, list) and all(isinstance(item, dict) for item in answers):
        return [item.get("text") for item in answers], [
            item.get("answer_start") for item in answers
        ]
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list):
            if len(texts) != len(starts):
                raise InputError(
                    f"{where}: {len(texts)} texts of answers but {len(starts)} offsets"
                )
            return texts, starts
    raise InputError(
        f"{where}: 'answers' is {_shown(answers)}; expected "
        '{"text": [...], "answer_start": [...]} or a list of {"text", "answer_start"}'
    )


def _shown(value: Any) -> str:
    return "missing" if value is None else quoted(value)
