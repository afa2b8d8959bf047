"""Documents into rows of tokens, and batches of these into masked ones."""

from collections.abc import Iterator

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batch
from stages.tasks.text.documents import check_tokens, read_documents


def read_rows(
    path: str,
    *,
    limit: int | None,
    tokenizer,
    max_length: int,
    line_by_line: bool,
    name: str | None = None,
) -> list[np.ndarray]:
    """The rows of tokens of a file.

    Args:
        path: the file.
        limit: keep only the first `limit` rows.
        tokenizer, max_length, line_by_line: as in `pack`.
        name: of the data, for messages (default: `path`).

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    rows = pack(tokenizer, read_documents(path), max_length, line_by_line=line_by_line)
    check_tokens(rows, name or path)
    return rows[:limit]


def pack(tokenizer, documents: list[list[str]], length: int, *, line_by_line: bool) -> list:
    """Rows of at most `length` tokens: `[CLS] paragraph [SEP] paragraph [SEP] ...`.

    A document stays in one row where it fits, and rows are filled with further whole documents;
    one that is longer than a row is cut between paragraphs, and a longer paragraph within. No
    token is lost.

    Returns:
        int32 arrays [<= length].
    """
    paragraphs = [text for document in documents for text in document]
    encoded = iter(tokenizer(paragraphs, add_special_tokens=False, verbose=False)["input_ids"])
    room = length - 1
    separator = tokenizer.sep_token_id
    rows: list[list[int]] = []
    row: list[int] = []
    for document in documents:
        pieces = [[*ids, separator] for ids in _cut(encoded, len(document), room - 1)]
        if line_by_line:
            rows.extend(pieces)
            continue
        units = [[token for piece in pieces for token in piece]]
        if len(units[0]) > room:
            units = pieces
        for unit in units:
            if len(row) + len(unit) > room:
                rows.append(row)
                row = []
            row = row + unit
    rows = [row for row in [*rows, row] if row]
    return [np.array([tokenizer.cls_token_id, *ids], np.int32) for ids in rows]


def _cut(encoded: Iterator[list[int]], count: int, room: int) -> list[list[int]]:
    """The next `count` paragraphs, each in pieces of at most `room` tokens."""
    return [
        ids[start : start + room]
        for ids in (next(encoded) for _ in range(count))
        for start in range(0, len(ids), room)
    ]


def alternate_segments(rows: list[np.ndarray], separator: int) -> list[np.ndarray]:
    """Segment of each token, int32 arrays [tokens]: 0 and 1 in turn from paragraph to paragraph."""
    return [
        ((np.cumsum(row == separator) - (row == separator)) % 2).astype(np.int32) for row in rows
    ]


class Masker:
    """Chooses tokens to predict: of these 80 % become the mask, 10 % any token, 10 % stay.

    Each row gives the same share of its tokens, rounded, as BERT's data did (Devlin et al. 2019):
    then a batch has a fixed number of places to score, and only those pass through the head.

    Args:
        tokenizer: has a mask token; its special tokens are never chosen.
        probability: share of the tokens to predict.
        seed: of the choices.
        span: mean length of what is chosen together in training, as in SpanBERT (Joshi et al.
            2020), if this is above 1. A word of several pieces is then never parted: a name
            cannot be guessed from its own pieces, only from who does what. Evaluation chooses
            single tokens, so that its perplexity means the same whatever the training.
        span_start: steps before the first with spans. Single tokens teach to copy, and from spans
            alone nothing is learned for long.
    """

    def __init__(
        self, tokenizer, probability: float, seed: int, span: float = 1.0, span_start: int = 0
    ):
        self.mask_id = tokenizer.mask_token_id
        self.special = np.zeros(len(tokenizer), bool)
        self.special[tokenizer.all_special_ids] = True
        pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self.continues = np.array([piece.startswith("##") for piece in pieces])
        self.probability = probability
        self.seed = seed
        self.span = span
        self.span_start = span_start

    def training(self, batch: Batch, step: int) -> Batch:
        """`batch` with new masks for this step of the run."""
        rng = np.random.default_rng([self.seed, step])
        ids = batch.arrays["input_ids"]
        chance = rng.random((*ids.shape, 3), dtype=np.float32)
        if self.span > 1 and step >= self.span_start:
            self._join_spans(rng, ids, chance)
        return self._mask(batch, chance)

    def _join_spans(self, rng: np.random.Generator, ids: np.ndarray, chance: np.ndarray) -> None:
        """Let every token take the draws of its span's first one, all but the replacement."""
        begins = rng.random(ids.shape, dtype=np.float32) * self.span < 1
        begins = (begins & ~self.continues[ids]) | self.special[ids]
        begins[:, 0] = True
        places = np.arange(ids.shape[1])
        first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
        chance[..., :2] = np.take_along_axis(chance[..., :2], first[..., None], axis=1)

    def evaluation(self, batch: Batch) -> Batch:
        """`batch` masked by the number of each row alone, however rows are batched."""
        ids = batch.arrays["input_ids"]
        chance = np.zeros((*ids.shape, 3), np.float32)
        for position, (row, length) in enumerate(
            zip(batch.indices, batch.arrays["attention_mask"].sum(axis=1), strict=True)
        ):
            rng = np.random.default_rng([self.seed, row + 1])
            chance[position, :length] = rng.random((length, 3), dtype=np.float32)
        return self._mask(batch, chance)

    def _mask(self, batch: Batch, chance: np.ndarray) -> Batch:
        """Mask by `chance`, [rows, tokens, 3]: whether to choose, what becomes of it, into what."""
        ids = batch.arrays["input_ids"]
        rows, length = ids.shape
        open_to_choice = (batch.arrays["attention_mask"] == 1) & ~self.special[ids]
        wanted = np.rint(open_to_choice.sum(axis=1) * self.probability).astype(int)
        wanted = np.clip(wanted, 1, open_to_choice.sum(axis=1))
        places = max(1, round(length * self.probability))
        draws = np.where(open_to_choice, chance[..., 0], 2.0)
        order = np.argsort(draws, axis=1, kind="stable")[:, :places]
        scored = np.arange(places) < wanted[:, None]
        positions = np.where(scored, order, 0)
        originals = np.take_along_axis(ids, positions, axis=1)
        fate = np.take_along_axis(chance[..., 1], positions, axis=1)
        other = np.take_along_axis(chance[..., 2], positions, axis=1)
        replaced = np.where(fate < 0.8, self.mask_id, originals)
        any_token = (other * len(self.special)).astype(np.int32)
        replaced = np.where(fate >= 0.9, any_token, replaced)
        masked = ids.copy()
        row_numbers = np.broadcast_to(np.arange(rows)[:, None], positions.shape)
        masked[row_numbers[scored], positions[scored]] = replaced[scored]
        arrays = {
            **batch.arrays,
            "input_ids": masked,
            "positions": positions.astype(np.int32),
            "labels": np.where(scored, originals, IGNORE_INDEX).astype(np.int32),
        }
        return Batch(batch.indices, arrays)
