"""Documents into blocks of tokens, some of them held out for evaluation; lines into prompts."""

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.tables import is_table
from stages.data.text import split_lines
from stages.tasks.text.documents import check_tokens, read_texts, token_stream
from stages.training.session import make_batches


def pack(tokenizer, documents: list[str], block_size: int) -> dict[str, list]:
    """Blocks in which each token of the text is predicted once, from those before it.

    The documents follow each other, each with the end-of-sequence token after it. A block also
    reads the token before its first one, from which that one is predicted; the first document
    follows an end-of-sequence token as all others do. The last block is shorter; no token is lost.

    Args:
        tokenizer: has an end-of-sequence token.
        documents: their texts.
        block_size: tokens a block.

    Returns:
        Columns `input_ids`, `attention_mask` and `labels`, int32 arrays [<= block_size]; the
        label at a place is the token that follows.
    """
    stream = token_stream(tokenizer, documents)
    before = np.concatenate([[tokenizer.eos_token_id], stream[:-1]]).astype(np.int32)
    starts = range(0, len(stream), block_size)
    labels = [stream[start : start + block_size] for start in starts]
    return {
        "input_ids": [before[start : start + block_size] for start in starts],
        "attention_mask": [np.ones(len(row), np.int32) for row in labels],
        "labels": labels,
    }


def hold_out(
    documents: list[str], percentage: int, seed: int, name: str
) -> tuple[list[str], list[str]]:
    """The documents without `percentage` of them, and these, both in the order of the file.

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
    texts = [" ".join(document.split()) for document in documents]
    different = list(dict.fromkeys(texts))
    count = max(1, round(len(different) * percentage / 100))
    if len(different) < 2:
        raise InputError(
            f"{name}: a single document, of which no part can be held out; give "
            "--validation_file, or put an empty line between documents"
        )
    order = np.random.default_rng(seed).permutation(len(different))
    chosen = {different[index] for index in order[: min(count, len(different) - 1)]}
    kept, held_out = [], []
    for document, text in zip(documents, texts, strict=True):
        (held_out if text in chosen else kept).append(document)
    return kept, held_out


def read_blocks(
    path: str,
    *,
    limit: int | None,
    tokenizer,
    block_size: int,
    keep_linebreaks: bool,
    held_out_percentage: int,
    held_out: bool,
    seed: int,
    name: str | None = None,
) -> dict[str, list]:
    """The blocks of a file.

    Args:
        path: the file.
        limit: keep only the first `limit` blocks.
        tokenizer, block_size: as in `pack`.
        keep_linebreaks: the lines of a document stay lines, instead of being joined by spaces.
            Blanks within a line stay in any case: in code they mean something.
        held_out_percentage, seed: as in `hold_out`; 0 for the whole file.
        held_out: give the blocks that are held out, instead of the rest.
        name: of the data, for messages (default: `path`).

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    name = name or path
    documents = read_texts(path)
    if not keep_linebreaks:
        documents = [" ".join(split_lines(text)) for text in documents]
    if held_out_percentage:
        documents = hold_out(documents, held_out_percentage, seed, name)[held_out]
    columns = pack(tokenizer, documents, block_size)
    check_tokens(columns["labels"], name)
    return {column: rows[:limit] for column, rows in columns.items()}


def read_prompts(
    path: str, *, limit: int | None, tokenizer, max_length: int, max_new_tokens: int
) -> tuple[list[str], dict[str, list]]:
    """Prompts, each the beginning of a document: the lines of a text file, the rows of a table.

    Args:
        path: the file. Blanks around a prompt stay.
        limit: read only the first `limit` prompts.
        tokenizer: has an end-of-sequence token, which stands before each document.
        max_length: tokens that the model has positions for.
        max_new_tokens: tokens to generate after a prompt.

    Returns:
        The prompts, and columns `input_ids` and `attention_mask`.

    Raises:
        InputError: a prompt with more tokens than there is room for.
    """
    texts = read_texts(path)
    if not is_table(path):
        texts = [line for text in texts for line in split_lines(text)]
    texts = texts[:limit]
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
    columns: dict[str, list], tokenizer, max_length: int, rows_per_device: int, **options
) -> Batches:
    """Batches of blocks, or of prompts.

    Args:
        columns: `input_ids`, `attention_mask`, and `labels` of blocks.
        tokenizer: GPT-2's has no padding token; the end of sequence then pads.
        max_length: tokens of a row.
        rows_per_device, options: as in `stages.training.session.make_batches`.
    """
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    padding = {"input_ids": pad, "labels": IGNORE_INDEX}
    return make_batches(columns, rows_per_device, padding=padding, max_length=max_length, **options)


def text_before(arrays: dict[str, np.ndarray], row: int, column: int) -> dict[str, list[int]]:
    """The tokens before a label."""
    return {"text": arrays["input_ids"][row, : column + 1].tolist()}
