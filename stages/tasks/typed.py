"""What is typed at the command line, as the rows of a file to predict.

A task whose rows are no single texts has a `typed` module of the same names.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.core.errors import InputError

# How the name of a file ends that has what comes through standard input, unless that is JSON.
STREAM_SUFFIX = ".txt"


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """A row for each text.

    Args:
        texts: those of `--text`, in order.
        arguments: of the prediction, which name its columns.
    """
    return ({"text": text} for text in texts)


def grouped(texts: Sequence[str], names: Sequence[str]) -> Iterator[dict]:
    """Rows of as many texts as there are names.

    Args:
        texts: those of `--text`, in order.
        names: of the columns.

    Raises:
        InputError: the last row would lack a text.
    """
    if len(texts) % len(names):
        raise InputError(
            f"--text is given {len(texts)} times; a row takes {len(names)}, in this order: "
            f"{', '.join(names)}"
        )
    for start in range(0, len(texts), len(names)):
        yield dict(zip(names, texts[start : start + len(names)], strict=True))
