"""Sentences typed at the command line, as rows to classify."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.tasks.typed import grouped

STREAM_SUFFIX = ".csv"


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """A row for each sentence, or for each two; see `stages.tasks.typed`."""
    first, second = (arguments.get(name) for name in ("text_column_name", "text_pair_column_name"))
    return grouped(texts, [first or "sentence1", *([second] if second else [])])
