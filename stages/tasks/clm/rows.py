"""Documents into blocks of tokens, and some of them kept for evaluation."""

import numpy as np

from stages.core.errors import InputError
from stages.tasks.text.documents import token_stream

Documents = list[list[str]]


def pack(tokenizer, documents: Documents, block_size: int, joint: str) -> dict[str, list]:
    """Blocks in which each token of the text is to be told from those before it, once.

    The documents follow each other, each with the end-of-sequence token behind it. A block reads
    the token before its first one too: that is what its first one is told from, and the first
    document begins behind an end as all others do. The last block is shorter; no token is lost.

    Args:
        tokenizer: has an end-of-sequence token.
        documents: their paragraphs.
        block_size: tokens a block.
        joint: what stands between two paragraphs.

    Returns:
        Columns `input_ids`, `attention_mask` and `labels`, int32 arrays [<= block_size]; the
        label at a place is the token that follows.
    """
    stream = token_stream(tokenizer, documents, joint)
    before = np.concatenate([[tokenizer.eos_token_id], stream[:-1]]).astype(np.int32)
    starts = range(0, len(stream), block_size)
    labels = [stream[start : start + block_size] for start in starts]
    return {
        "input_ids": [before[start : start + block_size] for start in starts],
        "attention_mask": [np.ones(len(row), np.int32) for row in labels],
        "labels": labels,
    }


def hold_out(
    documents: Documents, percentage: int, seed: int, name: str
) -> tuple[Documents, Documents]:
    """The documents without `percentage` of them, and these, both in the order of the file.

    Copies of a document stay together: what is evaluated on was not trained on.

    Args:
        documents: their paragraphs.
        percentage: of the different documents; at least one of them.
        seed: of the choice.
        name: where they come from, for a message.

    Raises:
        InputError: there are not two different documents.
    """
    texts = ["\n".join(document) for document in documents]
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
