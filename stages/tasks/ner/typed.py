"""Sentences typed at the command line, as rows to tag."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.tasks.ner.examples import TOKENS
from stages.tasks.typed import STREAM_SUFFIX as STREAM_SUFFIX

# Words, with apostrophes and hyphens within them, and single marks, as data sets of entities have
# them.
WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """A row of words for each sentence; see `stages.tasks.typed`."""
    column = arguments.get(TOKENS.flag) or TOKENS.known[0]
    return ({column: WORD.findall(text)} for text in texts)
