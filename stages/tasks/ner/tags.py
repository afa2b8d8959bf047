"""The tags of words: their names, and which of them are none."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from stages.core.errors import InputError, quoted, shortened
from stages.data.tables import is_placeholder
from stages.data.views import LazySequence

OUTSIDE = "O"
_TAG = re.compile(r"O|[BIES]-\S.*")
Where = Callable[[], str]


class Tags(LazySequence):
    """The names of each sentence's tags, kept as numbers.

    Args:
        codes: a row of places in `names` for each sentence.
        names: the different tags.
    """

    def __init__(self, codes: Sequence[np.ndarray], names: Sequence[str]):
        self.codes, self.names = codes, names

    def __len__(self) -> int:
        return len(self.codes)

    def row(self, row: int) -> list[str]:
        """The tags of one sentence."""
        return [self.names[code] for code in self.codes[row].tolist()]

    def __iter__(self) -> Iterator[list[str]]:
        for codes in self.codes:
            yield [self.names[code] for code in codes.tolist()]


def hides(tags: Any) -> bool:
    """Whether a row has placeholders in the place of tags."""
    return is_placeholder(tags) or (isinstance(tags, list) and any(map(is_placeholder, tags)))


def check_tags(
    where: Where, tags: Any, column: str, words: int, label_list: list[str] | None
) -> list[str]:
    """The names of a row's tags.

    Args:
        where: gives the row's place for a message.
        tags: what the row has.
        column: its name.
        words: of the row.
        label_list: all tags there may be; numbers are places in it.

    Raises:
        InputError: what `stages.tasks.ner.examples.read_examples` refuses of tags.
    """
    if not isinstance(tags, list):
        raise InputError(
            f"{where()}: {quoted(column)} is {quoted(tags)}; expected a list of tags "
            "(name its column with --label_column_name)"
        )
    if len(tags) != words:
        raise InputError(f"{where()}: {words} words but {len(tags)} tags")
    return [_tag(where, place, tag, label_list) for place, tag in enumerate(tags)]


def _tag(where: Where, place: int, tag: Any, label_list: list[str] | None) -> str:
    if isinstance(tag, int) and not isinstance(tag, bool):
        if label_list is None:
            raise InputError(
                f"{where()}, word {place}: the tag is the number {tag}; write the tags' names "
                "instead"
            )
        if not 0 <= tag < len(label_list):
            raise InputError(
                f"{where()}, word {place}: the tag is {tag}; there are {len(label_list)} tags"
            )
        return label_list[tag]
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise InputError(
            f"{where()}, word {place}: the tag is {quoted(tag)}; expected O, or B-, I-, E- or S- "
            "and a type"
        )
    if label_list is not None and tag not in label_list:
        raise InputError(
            f"{where()}, word {place}: the tag {quoted(tag)} is none of those known: "
            f"{shortened(', '.join(label_list), 400)}"
        )
    return tag


def label_list(tags: Tags) -> list[str]:
    """The different tags, sorted by code points, so that rows in any order give the same list."""
    used = np.zeros(len(tags.names), bool)
    for codes in tags.codes:
        used[codes] = True
    return sorted(name for name, one in zip(tags.names, used.tolist(), strict=True) if one)
