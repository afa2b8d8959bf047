"""Rows of text into rows with gaps, and what was in the gaps (Raffel et al. 2020, section 3.1.4).

A row of length n hides a fixed number of its tokens in a fixed number of spans. Only where these
lie is drawn, so that all rows of one length have the same shape once they are corrupted.
"""

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batch


def sentinels_of(tokenizer) -> np.ndarray:
    """The ids of `<extra_id_0>`, `<extra_id_1>` ..., int32, as many as the tokenizer has."""
    vocabulary = tokenizer.get_vocab()
    ids: list[int] = []
    while (token := f"<extra_id_{len(ids)}>") in vocabulary:
        ids.append(vocabulary[token])
    return np.array(ids, np.int32)


def split(length: int, probability: float, span: float) -> tuple[int, int]:
    """How many tokens of a row of `length` >= 2 are hidden, and in how many spans.

    Args:
        length: tokens of the row.
        probability: share of the tokens to hide.
        span: mean length of what is hidden together.
    """
    hidden = min(max(round(length * probability), 1), length - 1)
    spans = min(max(round(hidden / span), 1), length - hidden)
    return hidden, spans


def longest_row(corrupted: int, probability: float, span: float) -> int:
    """The tokens of a row that is `corrupted` >= 4 tokens long once it is corrupted.

    With one more token a row keeps one more, or hides one more and has perhaps one span more: it
    grows by one or not at all, and every length is met. Only where there are as many spans as
    kept tokens it grows by two, and may be one token short.
    """
    length = 2
    while _input_length(length + 1, *split(length + 1, probability, span)) <= corrupted:
        length += 1
    return length


def _input_length(length: int, hidden: int, spans: int) -> int:
    """What is kept, a sentinel for each gap, the end."""
    return length - hidden + spans + 1


def corrupt(
    ids: np.ndarray, hidden: int, spans: int, draws: np.ndarray, sentinels: np.ndarray, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hide spans of each row; every way to part hidden and kept tokens is as likely as another.

    The row begins with what is kept and ends with a span, as in the published code. In the input
    the sentinel k stands for span k. The target has each span behind its sentinel, and closes
    with the next sentinel and the end, as in the published definition.

    Args:
        ids: int [rows, length].
        hidden, spans: see `split`.
        draws: float [rows, length], uniform; where the spans lie follows from these.
        sentinels: int [> spans].
        end: the end-of-sequence token.

    Returns:
        Inputs int32 [rows, length - hidden + spans + 1], targets int32 [rows, hidden + spans + 2].
    """
    rows, length = ids.shape
    parts = [
        _segments(draws[:, : length - hidden - 1], spans),
        _segments(draws[:, length - hidden - 1 : length - 2], spans),
    ]
    ends = np.stack(parts, axis=2).reshape(rows, 2 * spans).cumsum(axis=1)
    segment = (np.arange(length) >= ends[:, :-1, None]).sum(axis=1)
    masked, sentinel = segment % 2 == 1, sentinels[segment // 2]
    begins = np.diff(segment, axis=1, prepend=-1) == 1
    inputs = np.where(masked, sentinel, ids)[~masked | begins].reshape(rows, -1)
    targets = np.where(masked, ids, sentinel)[masked | begins].reshape(rows, -1)
    closing = np.full((rows, 2), (sentinels[spans], end))
    return (
        np.concatenate([inputs, closing[:, 1:]], axis=1, dtype=np.int32),
        np.concatenate([targets, closing], axis=1, dtype=np.int32),
    )


def _segments(draws: np.ndarray, count: int) -> np.ndarray:
    """Lengths >= 1 of `count` segments, int [rows, count], that `draws` [rows, items - 1] part."""
    rows, gaps = draws.shape
    cuts = np.sort(np.argsort(draws, axis=1)[:, : count - 1], axis=1) + 1
    edges = np.zeros((rows, count + 1), np.int64)
    edges[:, 1:-1], edges[:, -1] = cuts, gaps + 1
    return np.diff(edges, axis=1)


class Corrupter:
    """Makes batches of one shape out of rows of `row_length` tokens; the last may be shorter.

    Args:
        tokenizer: has sentinels, an end-of-sequence and a padding token.
        length: tokens of a full row once it is corrupted.
        probability: share of the tokens to hide.
        span: mean length of what is hidden together.
        seed: of the choices.

    Raises:
        InputError: there are fewer sentinels than gaps.
    """

    def __init__(self, tokenizer, length: int, probability: float, span: float, seed: int):
        self.sentinels = sentinels_of(tokenizer)
        self.end, self.pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        self.special = np.zeros(len(tokenizer), bool)
        self.special[tokenizer.all_special_ids] = True
        self.length, self.probability, self.span = length, probability, span
        self.seed = seed
        self.row_length = longest_row(length, probability, span)
        hidden, spans = split(self.row_length, probability, span)
        self.target_length = hidden + spans + 2
        if spans >= len(self.sentinels):
            raise InputError(
                f"--max_seq_length {length} makes {spans} gaps a row, and the tokenizer has "
                f"{len(self.sentinels)} sentinels <extra_id_N> for them and the end; lower it, or "
                "raise --mean_noise_span_length"
            )

    def training(self, batch: Batch, step: int) -> Batch:
        """`batch` with new gaps for this step of the run."""
        ids = batch.arrays["input_ids"]
        return self._corrupt(batch, np.random.default_rng([self.seed, step]).random(ids.shape))

    def evaluation(self, batch: Batch) -> Batch:
        """`batch` corrupted by the number of each row alone, however rows are batched.

        `content` int32 [rows, targets] is 1 where the target is a token of the text.
        """
        ids = batch.arrays["input_ids"]
        draws = np.zeros(ids.shape)
        for position, row in enumerate(batch.indices):
            draws[position] = np.random.default_rng([self.seed, row + 1]).random(ids.shape[1])
        corrupted = self._corrupt(batch, draws)
        labels = corrupted.arrays["labels"]
        content = (labels != IGNORE_INDEX) & ~self.special[labels * (labels != IGNORE_INDEX)]
        return Batch(batch.indices, {**corrupted.arrays, "content": content.astype(np.int32)})

    def _corrupt(self, batch: Batch, draws: np.ndarray) -> Batch:
        ids, mask = batch.arrays["input_ids"], batch.arrays["attention_mask"]
        inputs = np.full((len(ids), self.length), self.pad, np.int32)
        kept = np.zeros((len(ids), self.length), np.int32)
        labels = np.full((len(ids), self.target_length), IGNORE_INDEX, np.int32)
        lengths = mask.sum(axis=1)
        # A single token cannot be both a gap and what surrounds it; a filling row has none.
        for length in np.unique(lengths[lengths >= 2]):
            rows = np.flatnonzero(lengths == length)
            hidden, spans = split(int(length), self.probability, self.span)
            made, targets = corrupt(
                ids[rows, :length], hidden, spans, draws[rows, :length], self.sentinels, self.end
            )
            inputs[rows, : made.shape[1]] = made
            kept[rows, : made.shape[1]] = 1
            labels[rows, : targets.shape[1]] = targets
        arrays = {"input_ids": inputs, "attention_mask": kept, "labels": labels}
        return Batch(batch.indices, {**batch.arrays, **arrays})
