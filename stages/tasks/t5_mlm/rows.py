"""Running text into rows of tokens, and rows into batches."""

from collections.abc import Sequence

import numpy as np

from stages.data.batching import Batches
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder
from stages.data.shapes import row_lengths
from stages.data.tables import Table, source_name
from stages.data.views import ones
from stages.tasks.text.documents import joined, read_texts
from stages.tasks.text.tokens import Blocks, token_stream
from stages.training.batches import make_batches


def read_rows(
    path: str | Table,
    *,
    limit: int | None,
    encoder: Encoder,
    row_length: int,
    name: str | None = None,
    cache: RowCache = UNCACHED,
    **columns,
) -> Blocks:
    """The tokens of a file in rows [row_length], the last perhaps shorter.

    Args:
        path: the file, or rows from elsewhere.
        limit: keep only the first `limit` rows.
        encoder: of a tokenizer that has an end-of-sequence token.
        row_length: tokens of a row.
        name: of the data, for messages (default: `path`).
        cache: keeps texts and tokens.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    documents = read_texts(path, cache=cache, **columns)
    stream = token_stream(
        encoder,
        map(joined, documents),
        len(documents),
        name or source_name(path),
        cache=cache,
        inputs={"documents": documents.fingerprint, "joined": True},
    )
    return stream.blocks(row_length, 1, len(stream), limit)


def batch_rows(
    rows: Sequence[np.ndarray], tokenizer, full_length: int | None, rows_per_device: int, **options
) -> Batches:
    """Batches of token rows.

    Args:
        rows: int arrays [tokens].
        tokenizer: pads them.
        full_length: pad all rows to this length; None for as few tokens as a batch needs.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
    """
    columns = {"input_ids": rows, "attention_mask": ones(row_lengths(rows))}
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
