"""Masked language modelling from rows to batches, and the likeliest tokens for mask tokens."""

from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from stages.core.errors import InputError
from stages.data.batching import Batches
from stages.data.shapes import row_lengths
from stages.data.views import ones
from stages.tasks.mlm.rows import alternate_segments
from stages.tasks.outputs import row_outputs
from stages.tasks.text.documents import read_paragraphs
from stages.training.batches import make_batches
from stages.training.step import make_eval_step

# Tokens that are proposed for a mask token.
TOP_K = 5


def batch_rows(
    rows: Sequence[np.ndarray],
    tokenizer,
    max_length: int,
    rows_per_device: int,
    *,
    segments: bool = False,
    pad_to_max_length: bool = False,
    **options,
) -> Batches:
    """Batches of token rows.

    Args:
        rows: int arrays [tokens].
        tokenizer: pads them.
        max_length: tokens of a row.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
        segments: add `token_type_ids` that alternate between the paragraphs of a row.
        pad_to_max_length: pad all rows to `max_length`.
    """
    columns = {"input_ids": rows, "attention_mask": ones(row_lengths(rows))}
    if segments:
        columns["token_type_ids"] = alternate_segments(rows, tokenizer.sep_token_id)
    return make_batches(
        columns,
        rows_per_device,
        padding={"input_ids": tokenizer.pad_token_id},
        full_length=max_length if pad_to_max_length else None,
        max_length=max_length,
        **options,
    )


def read_masked(
    path: str,
    *,
    limit: int | None,
    tokenizer,
    max_length: int,
    **columns,
) -> tuple[list[str], list[list[int]]]:
    """The lines of a text file with mask tokens, and their tokens.

    Args:
        path: the file.
        limit: read only the first `limit` lines.
        tokenizer: has a mask token.
        max_length: tokens of a line; longer ones are truncated.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Raises:
        InputError: a line without a mask token.
    """
    texts = read_paragraphs(path, limit, **columns)
    encoded = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    for number, ids in enumerate(encoded, start=1):
        if tokenizer.mask_token_id not in ids:
            raise InputError(
                f"{path}, paragraph {number}: no {tokenizer.mask_token} within the first "
                f"{max_length} tokens; put it where a token is to be predicted"
            )
    return texts, encoded


def score_vocabulary(model, batch):
    """The likeliest tokens int32 [rows, tokens, TOP_K] at each position, best first."""
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"])
    return {"tokens": jax.lax.top_k(logits, TOP_K)[1]}


def fill_masks(
    model, tokenizer, batches: Batches, texts: list[str], encoded: list[list[int]]
) -> Callable[[], Iterator[dict]]:
    """Gives the predictions file: each text, the likeliest tokens for each of its mask tokens.

    Args:
        model: a masked language model.
        tokenizer: has a mask token.
        batches: of `encoded`.
        texts, encoded: what `read_masked` gives.
    """
    outputs, _ = row_outputs(make_eval_step(model, score_vocabulary), model, batches)

    def rows() -> Iterator[dict]:
        for text, ids, tokens in zip(texts, encoded, outputs["tokens"], strict=True):
            masks = np.flatnonzero(np.array(ids) == tokenizer.mask_token_id)
            fillings = [tokenizer.convert_ids_to_tokens(tokens[mask].tolist()) for mask in masks]
            yield {"text": text, "fillings": fillings}

    return rows


def text_around(arrays: dict[str, np.ndarray], row: int, column: int) -> dict[str, list[int]]:
    """The tokens on both sides of a masked one; other masks stay in it."""
    ids = arrays["input_ids"][row, : arrays["attention_mask"][row].sum()].tolist()
    position = arrays["positions"][row, column]
    return {"before": ids[:position], "after": ids[position + 1 :]}
