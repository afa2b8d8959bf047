"""Questions typed at the command line, as rows to answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.tasks.typed import grouped

STREAM_SUFFIX = ".json"


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """A row for each question and its context; see `stages.tasks.typed`."""
    for number, row in enumerate(grouped(texts, ("question", "context")), start=1):
        yield {"id": str(number), **row}
