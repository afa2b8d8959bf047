"""Documents into rows of tokens, and batches of these into masked ones."""

from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batch
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, encode_ids
from stages.data.shapes import row_lengths
from stages.data.tables import Table, source_name
from stages.data.views import Mapped
from stages.data.writer import Writer, in_chunks, ragged_array
from stages.tasks.text.documents import paragraphs, read_texts
from stages.tasks.text.tokens import check_tokens


def read_rows(
    path: str | Table,
    *,
    limit: int | None,
    encoder: Encoder,
    max_length: int,
    line_by_line: bool,
    name: str | None = None,
    cache: RowCache = UNCACHED,
    **columns,
) -> Sequence[np.ndarray]:
    """The rows of tokens of a file.

    Args:
        path: the file, or rows from elsewhere.
        limit: keep only the first `limit` rows.
        encoder, max_length, line_by_line: as in `pack`.
        name: of the data, for messages (default: `path`).
        cache: keeps texts and tokens.
        columns: `text_column` and `source_columns` of `iter_texts`.

    Raises:
        InputError: the file has no text, or the tokenizer gives no token.
    """
    documents = read_texts(path, cache=cache, **columns)
    inputs = {
        "documents": documents.fingerprint,
        "tokenizer": encoder.fingerprint,
        "max_length": max_length,
        "line_by_line": line_by_line,
    }

    def build(writer: Writer) -> None:
        rows = pack(encoder, documents, max_length, line_by_line=line_by_line)
        for chunk in in_chunks(rows):
            writer.write({"input_ids": ragged_array(chunk, encoder.dtype)})
        check_tokens(range(writer.rows), name or source_name(path))

    store = cache.get("mlm-tokens", inputs, build)
    return store.column("input_ids", limit)


def pack(
    encoder: Encoder, documents: Sequence[str], length: int, *, line_by_line: bool
) -> Iterator[list[int]]:
    """Rows of at most `length` tokens: `[CLS] paragraph [SEP] paragraph [SEP] ...`.

    A document stays in one row where it fits, and rows are filled with further whole documents;
    one that is longer than a row is cut between paragraphs, and a longer paragraph within. No
    token is lost.

    Args:
        encoder: of the model's tokenizer.
        documents: their texts, gone through twice.
        length: tokens of a row.
        line_by_line: a row for each paragraph, or piece of one.
    """
    tokenizer = encoder.tokenizer
    # Counted first, so that progress has a total, and with it a time left.
    counts = array("q", (len(paragraphs(text)) for text in documents))
    every = (paragraph for text in documents for paragraph in paragraphs(text))
    make = partial(encode_ids, special_tokens=False)
    encoded = chain.from_iterable(encoder.encode_all(every, sum(counts), make))
    room = length - 1
    row: list[int] = []
    for count in counts:
        pieces = [[*ids, tokenizer.sep_token_id] for ids in _cut(encoded, count, room - 1)]
        if line_by_line:
            yield from ([tokenizer.cls_token_id, *piece] for piece in pieces)
            continue
        units = [[token for piece in pieces for token in piece]]
        if len(units[0]) > room:
            units = pieces
        for unit in units:
            if row and len(row) + len(unit) > room:
                yield [tokenizer.cls_token_id, *row]
                row = []
            row = row + unit
    if row:
        yield [tokenizer.cls_token_id, *row]


def _cut(encoded: Iterator[list[int]], count: int, room: int) -> list[list[int]]:
    """The next `count` paragraphs, each in pieces of at most `room` tokens."""
    return [
        ids[start : start + room]
        for ids in (next(encoded) for _ in range(count))
        for start in range(0, len(ids), room)
    ]


def alternate_segments(rows: Sequence[np.ndarray], separator: int) -> Mapped:
    """Segment of each token, int32 arrays [tokens]: 0 and 1 in turn from paragraph to paragraph.

    Args:
        rows: tokens.
        separator: the token that ends a paragraph.
    """

    def segments(row: np.ndarray) -> np.ndarray:
        ends = row == separator
        return ((np.cumsum(ends) - ends) % 2).astype(np.int32)

    return Mapped(rows, segments, f"segments {separator}", row_lengths(rows))


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
