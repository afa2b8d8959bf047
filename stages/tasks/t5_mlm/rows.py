"""Running text into rows of tokens, and rows into batches."""

import numpy as np

from stages.data.batching import Batches
from stages.tasks.text.documents import check_tokens, read_joined, token_stream
from stages.training.session import make_batches


def read_rows(
    path: str, *, limit: int | None, tokenizer, row_length: int, name: str | None = None
) -> list[np.ndarray]:
    """The tokens of a file in rows, int32 [row_length], the last perhaps shorter.

    Args:
        path: the file.
        limit: keep only the first `limit` rows.
        tokenizer: has an end-of-sequence token.
        row_length: tokens of a row.
        name: of the data, for messages (default: `path`).

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    stream = token_stream(tokenizer, read_joined(path))
    check_tokens(stream, name or path)
    return np.split(stream, range(row_length, len(stream), row_length))[:limit]


def batch_rows(
    rows: list[np.ndarray], tokenizer, full_length: int | None, rows_per_device: int, **options
) -> Batches:
    """Batches of token rows.

    Args:
        rows: int32 arrays [tokens].
        tokenizer: pads them.
        full_length: pad all rows to this length; None for as few tokens as a batch needs.
        rows_per_device, options: as in `stages.training.session.make_batches`.
    """
    columns = {"input_ids": rows, "attention_mask": [np.ones(len(row), np.int32) for row in rows]}
    padding = {"input_ids": tokenizer.pad_token_id}
    return make_batches(
        columns, rows_per_device, padding=padding, full_length=full_length, **options
    )


def text_and_targets_before(
    arrays: dict[str, np.ndarray], row: int, column: int
) -> dict[str, list[int]]:
    """The corrupted text, and the targets before a label."""
    source = arrays["input_ids"][row, : arrays["attention_mask"][row].sum()]
    return {"text": source.tolist(), "target": arrays["labels"][row, :column].tolist()}
