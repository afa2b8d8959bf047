"""Filling gaps by counts of neighbours."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.encode import Encoder
from stages.tasks.t5_mlm.spans import Corrupter
from stages.tasks.text.counts import frequencies, smooth
from stages.tasks.text.documents import joined
from stages.tasks.text.tokens import file_tokens

# Tokens of a row where no setting says it and the tokenizer has no limit.
LONGEST = 1024
METRICS = ("eval_accuracy", "eval_content_accuracy")


def measure(
    folder: str,
    tokenizer: str,
    *,
    mlm_probability: float = 0.15,
    mean_noise_span_length: float = 3.0,
    seed: int = 42,
    max_seq_length: int | None = None,
) -> dict[str, dict[str, float]]:
    """`frequent` has the sentinels right and else the most frequent token, `neighbours` counts.

    `neighbours` gives the token that followed the one on the left most often, or ends the gap
    where that is likelier: where the token behind the gap often followed, and by how long gaps
    are. Both know, as the model does, what stood in the gap so far. The gaps are the model's own:
    the settings are those of its evaluation.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    encoder = Encoder(tokenizer)
    train, test = (
        file_tokens(encoder, f"{folder}/{split}.txt", joined) for split in ("train", "test")
    )
    unigram = frequencies([train], len(tokenizer))
    follows: defaultdict = defaultdict(Counter)
    for left, token in zip(train[:-1].tolist(), train[1:].tolist(), strict=True):
        follows[left][token] += 1

    def neighbours(left: int, right: int, may_end: bool) -> int:
        """The likeliest token, or -1 for the gap's end."""
        next_one = smooth(follows[left], unigram)
        ending = 1 / mean_noise_span_length
        here, later = next_one[right] * ending, unigram[right] * (1 - ending)
        end = may_end * here / (here + later)
        return -1 if end > (1 - end) * next_one.max() else int(next_one.argmax())

    length = max_seq_length or min(tokenizer.model_max_length, LONGEST)
    corrupter = Corrupter(tokenizer, length, mlm_probability, mean_noise_span_length, seed)
    rows = np.split(test, range(corrupter.row_length, len(test), corrupter.row_length))
    batches = Batches(
        {"input_ids": rows, "attention_mask": [np.ones(len(row), np.int32) for row in rows]},
        padding={"input_ids": tokenizer.pad_token_id},
        batch_size=64,
        buckets=1,
        full_length=corrupter.row_length,
    )
    most_frequent = int(unigram.argmax())
    sentinels = set(corrupter.sentinels.tolist())
    hits = {"frequent": np.zeros(2), "neighbours": np.zeros(2)}
    counts = np.zeros(2)
    for batch in map(corrupter.evaluation, batches.evaluation()):
        names = ("input_ids", "labels", "content")
        for inputs, labels, content in zip(*(batch.arrays[name] for name in names), strict=True):
            labels = labels[labels != IGNORE_INDEX].tolist()
            sides = _sides(inputs.tolist(), labels, sentinels)
            for label, text, known in zip(labels, content, sides, strict=False):
                one = np.array([1, text])
                counts += one
                answer = -1 if label in sentinels else label
                hits["frequent"] += one * (known is None or answer in (-1, most_frequent))
                hits["neighbours"] += one * (known is None or neighbours(*known) == answer)
    return {
        name: dict(zip(METRICS, (found / counts).tolist(), strict=True))
        for name, found in hits.items()
    }


def _sides(
    inputs: list[int], labels: list[int], sentinels: set[int]
) -> Iterator[tuple[int, int, bool] | None]:
    """For each label the token before it, the one behind its gap, and whether the gap may end.

    None for the first sentinel and for the last end, which are always the same.
    """
    gap = 0
    for place, label in enumerate(labels):
        if place == 0 or place == len(labels) - 1:
            yield None
        else:
            opened = labels[place - 1] in sentinels
            yield (inputs[gap - 1] if opened else labels[place - 1]), inputs[gap + 1], not opened
        if label in sentinels and label in inputs:
            gap = inputs.index(label)
