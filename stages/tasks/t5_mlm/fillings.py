"""Lines with gaps, and the text that a model generates for them."""

import re

import numpy as np

from stages.core.errors import InputError
from stages.tasks.text.documents import read_paragraphs

MARK = re.compile(r"<extra_id_(\d+)>")


def read_gapped(path: str, *, limit: int | None, sentinels: np.ndarray, **columns) -> list[str]:
    """The lines of a text file with sentinels `<extra_id_N>` where text is missing.

    Args:
        path: the file.
        limit: read only the first `limit` lines.
        sentinels: int [sentinels], those of the tokenizer.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Raises:
        InputError: a line without a sentinel, or with one that the tokenizer does not have; names
            the paragraph, from 1.
    """
    texts = read_paragraphs(path, limit, **columns)
    for number, text in enumerate(texts, start=1):
        marks = [int(mark) for mark in MARK.findall(text)]
        if not marks:
            raise InputError(
                f"{path}, paragraph {number}: no <extra_id_0>; put it where text is to be filled in"
            )
        if max(marks) >= len(sentinels):
            raise InputError(
                f"{path}, paragraph {number}: <extra_id_{max(marks)}>, but the tokenizer has "
                f"{len(sentinels)} such marks, from <extra_id_0>"
            )
    return texts


def read_fillings(text: str, ids: np.ndarray, sentinels: np.ndarray, tokenizer) -> dict:
    """What stands behind each mark's sentinel in the tokens that were written.

    Returns:
        `text`, the `fillings` of its marks in order (empty where the model wrote none), and
        `filled`, the text with them.
    """
    number_of = {int(token): number for number, token in enumerate(sentinels)}
    written: dict[int | None, list[int]] = {None: []}
    current = None
    for token in ids.tolist():
        if token in number_of:
            current = number_of[token]
            written[current] = []
        else:
            written[current].append(token)
    marks = [int(mark) for mark in MARK.findall(text)]
    fillings = [
        tokenizer.decode(written.get(mark, []), skip_special_tokens=True).strip() for mark in marks
    ]
    filled = iter(fillings)
    return {"text": text, "fillings": fillings, "filled": MARK.sub(lambda _: next(filled), text)}
