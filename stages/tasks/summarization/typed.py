"""Documents typed at the command line, as rows to summarize."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.tasks.summarization.examples import DOCUMENT

STREAM_SUFFIX = ".csv"


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """A row for each document; see `stages.tasks.typed`."""
    column = arguments.get(DOCUMENT.flag) or DOCUMENT.known[0]
    return ({column: text} for text in texts)
