"""Running text in a user's files, see `stages.tasks.own_data`."""

from pathlib import Path

import numpy as np

from stages.core.errors import InputError
from stages.data.tables import PLAIN, TABLES, is_table, read_plain_text
from stages.tasks.own_data import (
    Items,
    Sizes,
    left_out,
    length_line,
    read_own_table,
    tokens,
    vocabulary_size,
)
from stages.tasks.text.convert import Source
from stages.tasks.text.documents import choose_text, read_texts

ENDINGS, SEVERAL = (*TABLES, *filter(None, PLAIN)), True
# Lines that make a document where no blank line ends one, and documents that are too few to split.
_LINES, _FEW = 20, 10


def read(paths: list[Path], source: Source) -> Items:
    """The documents of one or more files."""
    rows, said = [], []
    for path in paths:
        if is_table(path):
            table, lines = read_own_table(path)
            said += lines
            chosen = choose_text(table, source.text_column_name)
            said.append(f"columns of {path.name}: text = {chosen}")
            said += left_out(table, [chosen])
            rows += [{"text": text} for text in table.texts(chosen) if text.strip()]
            continue
        texts = list(read_texts(path))
        if len(texts) < _FEW:
            lines = [line for line in read_plain_text(path) if line.strip()]
            if len(lines) >= _FEW * _LINES:
                texts = [
                    "\n".join(lines[start : start + _LINES])
                    for start in range(0, len(lines), _LINES)
                ]
                said.append(
                    f"{path.name}: hardly a blank line ends a document; {_LINES} lines are one"
                )
        rows += [{"text": text} for text in texts]
    if not rows:
        raise InputError(f"{paths[0]}: no text in it; expected paragraphs")
    return Items(rows, shared=[(row["text"],) for row in rows], said=said)


def describe(path: Path) -> Sizes:
    """Lengths of the documents of a split, and all their tokens."""
    texts = read_texts(path)
    words = [len(text.split()) for text in texts]
    lengths = np.array([tokens(text) for text in texts])
    said = [length_line("words of a document", words), f"about {sum(words):,} words"]
    return Sizes(rows=len(texts), lengths=lengths, said=said, vocabulary=vocabulary_size(texts))
