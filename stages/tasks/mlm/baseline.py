"""Guessing a masked token from its two neighbours, by counts."""

import math
from collections import Counter, defaultdict

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.encode import Encoder
from stages.tasks.mlm.rows import Masker, pack
from stages.tasks.text.counts import frequencies, smooth
from stages.tasks.text.documents import read_texts

# Tokens of a row where no setting says it and the tokenizer has no limit.
LONGEST = 1024


def measure(
    folder: str,
    tokenizer: str,
    *,
    mlm_probability: float = 0.15,
    seed: int = 42,
    line_by_line: bool = False,
    max_seq_length: int | None = None,
) -> dict[str, dict[str, float]]:
    """`unigram` knows frequencies, `neighbours` the tokens left and right of the mask.

    `neighbours` counts which token stood between two others, backed off to what followed the left
    one and preceded the right one, and these to the frequencies (Dirichlet smoothing). Perplexities
    compare token by token with those of a model of the same tokenizer: the settings are those of
    its evaluation, as masks are drawn row by row.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    encoder = Encoder(tokenizer)
    length = max_seq_length or min(tokenizer.model_max_length, LONGEST)
    train, test = (
        [
            np.array(ids, np.int32)
            for ids in pack(
                encoder, read_texts(f"{folder}/{split}.txt"), length, line_by_line=line_by_line
            )
        ]
        for split in ("train", "test")
    )
    unigram = frequencies(train, len(tokenizer))
    counts: list[dict] = [defaultdict(Counter) for _ in range(3)]
    for row in train:
        ids = row.tolist()
        for left, middle, right in zip(ids, ids[1:], ids[2:], strict=False):
            for table, key in zip(counts, ((left, right), left, right), strict=True):
                table[key][middle] += 1

    def neighbours(left: int, right: int) -> np.ndarray:
        sides = unigram
        for table, key in ((counts[1], left), (counts[2], right), (counts[0], (left, right))):
            sides = smooth(table[key], sides)
        return sides

    masker = Masker(tokenizer, mlm_probability, seed)
    batches = Batches(
        {"input_ids": test, "attention_mask": [np.ones(len(row), np.int32) for row in test]},
        padding={"input_ids": tokenizer.pad_token_id},
        batch_size=64,
        buckets=4,
    )
    scores: dict[str, list[tuple[float, bool]]] = {"unigram": [], "neighbours": []}
    for batch in map(masker.evaluation, batches.evaluation()):
        ids, positions, labels = (
            batch.arrays[name] for name in ("input_ids", "positions", "labels")
        )
        for row, place in zip(*np.nonzero(labels != IGNORE_INDEX), strict=True):
            label, at = labels[row, place], positions[row, place]
            for name, guess in (
                ("unigram", unigram),
                ("neighbours", neighbours(ids[row, at - 1], ids[row, at + 1])),
            ):
                scores[name].append((-math.log(guess[label]), guess.argmax() == label))
    result = {}
    for name, entries in scores.items():
        losses, hits = zip(*entries, strict=True)
        result[name] = {
            "eval_accuracy": float(np.mean(hits)),
            "eval_perplexity": math.exp(float(np.mean(losses))),
        }
    return result
