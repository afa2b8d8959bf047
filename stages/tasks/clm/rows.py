"""Documents into blocks of tokens, some of them held out for evaluation; lines into prompts."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import compress, islice

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder
from stages.data.tables import Table, is_table, source_name
from stages.data.text import split_lines
from stages.data.views import ones
from stages.tasks.text.documents import iter_texts, read_texts, without_linebreaks
from stages.tasks.text.tokens import Stream, token_stream
from stages.training.batches import make_batches


def pack(
    stream: Stream, block_size: int, limit: int | None = None
) -> dict[str, Sequence[np.ndarray]]:
    """Blocks in which each token of the text is predicted once, from those before it.

    A block also reads the token before its first one, from which that one is predicted; the first
    document follows an end-of-sequence token as all others do. The last block is shorter; no token
    is lost.

    Args:
        stream: the text.
        block_size: tokens a block.
        limit: keep only the first `limit` blocks.

    Returns:
        Columns `input_ids`, `attention_mask` and `labels`, arrays [<= block_size]; the label at a
        place is the token that follows.
    """
    labels = stream.blocks(block_size, 1, len(stream), limit)
    return {
        "input_ids": stream.blocks(block_size, 0, len(stream) - 1, limit),
        "attention_mask": ones(labels.lengths),
        "labels": labels,
    }


def hold_out(documents: Iterable[str], percentage: int, seed: int, name: str) -> np.ndarray:
    """Which documents to hold out: bool array [documents].

    Copies of a document stay together, also where only blanks differ: what is evaluated on was
    not trained on.

    Args:
        documents: their texts.
        percentage: of the different documents; at least one of them.
        seed: of the choice.
        name: where they come from, for a message.

    Raises:
        InputError: there are not two different documents.
    """
    # Eight bytes of each: two that have them in common by chance only stay together.
    sums = (blake2b(" ".join(text.split()).encode(), digest_size=8) for text in documents)
    numbers = np.frombuffer(b"".join(one.digest() for one in sums), np.uint64)
    _, first, copies = np.unique(numbers, return_index=True, return_inverse=True)
    # In the order in which they come up.
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    if len(first) < 2:
        raise InputError(
            f"{name}: a single document, of which no part can be held out; give "
            "--validation_file, or put an empty line between documents"
        )
    count = max(1, round(len(first) * percentage / 100))
    order = np.random.default_rng(seed).permutation(len(first))
    chosen = np.zeros(len(first), bool)
    chosen[order[: min(count, len(first) - 1)]] = True
    return chosen[rank[copies]]


def read_blocks(
    path: str | Table,
    *,
    limit: int | None,
    encoder: Encoder,
    block_size: int,
    keep_linebreaks: bool,
    held_out_percentage: int,
    held_out: bool,
    seed: int,
    name: str | None = None,
    cache: RowCache = UNCACHED,
    **columns,
) -> dict[str, Sequence[np.ndarray]]:
    """The blocks of a file.

    Args:
        path: the file, or rows from elsewhere.
        limit, block_size: as in `pack`.
        encoder: of the model's tokenizer.
        keep_linebreaks: the lines of a document stay lines, instead of being joined by spaces.
            Blanks within a line stay in any case: in code they mean something.
        held_out_percentage, seed: as in `hold_out`; 0 for the whole file.
        held_out: give the blocks that are held out, instead of the rest.
        name: of the data, for messages (default: `path`).
        cache: keeps texts and tokens.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    name = name or source_name(path)
    documents = read_texts(path, cache=cache, **columns)
    inputs = {"documents": documents.fingerprint, "keep_linebreaks": keep_linebreaks}
    texts: Iterable[str] = documents
    count = len(documents)
    if held_out_percentage:
        inputs["held_out"] = [held_out_percentage, seed, held_out]
        chosen = hold_out(documents, held_out_percentage, seed, name) == held_out
        texts, count = compress(documents, chosen), int(chosen.sum())
    if not keep_linebreaks:
        texts = map(without_linebreaks, texts)
    stream = token_stream(encoder, texts, count, name, cache=cache, inputs=inputs)
    return pack(stream, block_size, limit)


def read_prompts(
    path: str,
    *,
    limit: int | None,
    tokenizer,
    max_length: int,
    max_new_tokens: int,
    **columns,
) -> tuple[list[str], dict[str, list]]:
    """Prompts, each the beginning of a document: the lines of a text file, the rows of a table.

    Args:
        path: the file. Blanks around a prompt stay.
        limit: read only the first `limit` prompts.
        tokenizer: has an end-of-sequence token, which stands before each document.
        max_length: tokens that the model has positions for.
        max_new_tokens: tokens to generate after a prompt.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Returns:
        The prompts, and columns `input_ids` and `attention_mask`.

    Raises:
        InputError: a prompt with more tokens than there is room for.
    """
    texts = iter_texts(path, **columns)
    if not is_table(path):
        texts = (line for text in texts for line in split_lines(text))
    texts = list(islice(texts, limit))
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    prompts = [np.array([tokenizer.eos_token_id, *ids], np.int32) for ids in encoded]
    for number, prompt in enumerate(prompts, start=1):
        if len(prompt) + max_new_tokens > max_length:
            raise InputError(
                f"{path}, prompt {number}: {len(prompt)} tokens and --max_new_tokens "
                f"{max_new_tokens} are more than the model's {max_length} positions; shorten it, "
                "or ask for fewer"
            )
    masks = [np.ones(len(prompt), np.int32) for prompt in prompts]
    return texts, {"input_ids": prompts, "attention_mask": masks}


def batch_blocks(
    columns: dict[str, Sequence], tokenizer, max_length: int, rows_per_device: int, **options
) -> Batches:
    """Batches of blocks, or of prompts.

    Args:
        columns: `input_ids`, `attention_mask`, and `labels` of blocks.
        tokenizer: GPT-2's has no padding token; the end of sequence then pads.
        max_length: tokens of a row.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
    """
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    padding = {"input_ids": pad, "labels": IGNORE_INDEX}
    return make_batches(columns, rows_per_device, padding=padding, max_length=max_length, **options)


def text_before(arrays: dict[str, np.ndarray], row: int, column: int) -> dict[str, list[int]]:
    """The tokens before a label."""
    return {"text": arrays["input_ids"][row, : column + 1].tolist()}
