"""What the files of a user hold, and the parameters that fit them.

For `stages.pipeline.new_profile` a task has a module `own_data` with

- `ENDINGS`: of the names of files that it reads; `SEVERAL`: whether a split may be several files,
- `MODEL`: a type of model that it takes, that of a new one,
- `read(paths, source)`: the `Items` of one split,
- `describe(path)`: the `Sizes` of a file in the task's standard form,
- `plan(sizes, start)`: the `Plan` for a training, from the sizes of each split; `start` is a
  checkpoint, or None for new weights.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stages.data.tables import CELLS, Table, read_table

# Of the values of the gates: no figure is known before the first run.
BEATS = {"beats": "baseline"}
# Bytes of a token, few so that lengths are rather too large: a small vocabulary splits words.
_BYTES_A_TOKEN = 3
# Bytes of text that teach one piece of a new vocabulary, and pieces that are never too many.
_BYTES_A_PIECE, _FEW_PIECES = 1000, 1000
# A column with more different values than this cannot show that the header is missing.
_MOST_CLASSES = 1000


@dataclass
class Items:
    """Rows of a user's file, as they can be split and written again.

    rows: what becomes a line of JSON each.
    shared: of each row, what it may have in common with another: these two stay in one split.
    data: keys of `data` that say how the rows are to be read.
    task: keys of the task's block that follow from them.
    said: what was found out, line by line.
    text: the column of running text that a new model can be trained on first, if there is one.
    files: files that belong to them, by their path in the new folder.
    """

    rows: list[dict]
    shared: list[tuple]
    data: dict[str, str] = field(default_factory=dict)
    task: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    text: str | None = None
    files: dict[str, Path] = field(default_factory=dict)


@dataclass
class Sizes:
    """What a split holds, in its task's standard form.

    rows: how many.
    lengths: int64 array [rows], tokens of each row, estimated.
    targets: the same of what is to be written; empty where a task writes nothing.
    said: what is said of them: lengths, classes and their shares.
    vocabulary: a size of a vocabulary for these texts.
    labels: the classes or tags.
    facts: what else the task's `plan` needs.
    """

    rows: int
    lengths: np.ndarray
    said: list[str]
    targets: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    vocabulary: int = 0
    labels: list[str] = field(default_factory=list)
    facts: dict = field(default_factory=dict)


@dataclass
class First:
    """A training on running text that a new model goes through before the task's own.

    task: its name.
    block: the block of that task, without its data and its model.
    """

    task: str
    block: dict


@dataclass
class Plan:
    """Sections of `params.yaml`.

    task: the block of the task, without its data and its model.
    gates: metric to rule.
    tokenizer: the entry of a new model without its text; None for a checkpoint.
    first: what a new model is trained on before; None for nothing.
    """

    task: dict
    gates: dict
    tokenizer: dict | None = None
    first: First | None = None


def read_own_table(path: Path) -> tuple[Table, list[str]]:
    """The rows of a file, and what is to be said of it: it may have no header.

    A first line is taken for a row where one of its cells, but not all, comes again in its column.
    """
    table = read_table(path)
    if path.suffix.lower() not in CELLS:
        return table, []
    again = []
    for name in table.columns:
        different = set()
        for value in table.values(name):
            different.add(value)
            if len(different) > _MOST_CLASSES:
                break
        again.append(len(different) <= min(_MOST_CLASSES, len(table) // 2) and name in different)
    if not any(again) or all(again):
        return table, []
    names = [f"column{number}" for number in range(1, len(table.columns) + 1)]
    first = dict(zip(names, table.columns, strict=True))
    rows = [first, *(dict(zip(names, row.values(), strict=True)) for row in table.rows)]
    said = f"{path.name}: no header; its columns are called {', '.join(names)}"
    lines = [1, *table.line_numbers]
    return replace(table, columns=names, rows=rows, line_numbers=lines, complete=names), [said]


def left_out(table: Table, used: Iterable[str]) -> list[str]:
    """The line that names the columns that are not read, if there are any."""
    others = [name for name in table.columns if name not in set(used)]
    return [f"columns that are not read: {', '.join(others)}"] if others else []


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return len(text.encode(errors="replace")) // _BYTES_A_TOKEN + 1


def vocabulary_size(texts: Iterable[str], most: int = 4000) -> int:
    """Pieces that a new model can learn from these texts, with room for all letters.

    A new model knows a piece only from the rows that have it. Half as many pieces as there are
    words would be seen once or twice in a small file, and a word that is one of them shows neither
    its capital nor its ending.
    """
    words: set[str] = set()
    letters: set[str] = set()
    size = 0
    for text in texts:
        words.update(text.split())
        letters.update(text)
        size += len(text.encode(errors="replace"))
    learned = max(_FEW_PIECES, size // _BYTES_A_PIECE)
    return max(min(most, learned, len(words) // 2), 2 * len(letters) + 300)


def length_line(name: str, lengths: Sequence[int]) -> str:
    """`words of a sentence: 3 to 57, half of them up to 12`."""
    return f"{name}: {min(lengths)} to {max(lengths)}, half of them up to {int(np.median(lengths))}"


def class_line(name: str, counts: Counter) -> str:
    """`label: 2 classes: good 60 %, bad 40 %`."""
    total = counts.total()
    shares = [f"{label} {count / total:.1%}" for label, count in counts.most_common(10)]
    more = "" if len(counts) <= 10 else f", and {len(counts) - 10} more"
    return f"{name}: {len(counts)} classes: {', '.join(shares)}{more}"
