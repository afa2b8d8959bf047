"""Sentences as windows of tokens: labels on the way in, a tag for every word on the way out."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count, repeat

import numpy as np
from tokenizers import Encoding

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, token_columns
from stages.data.store import Store
from stages.data.views import LazySequence
from stages.data.writer import Writer, ragged_array
from stages.tasks.ner.tags import OUTSIDE


class Windows:
    """Token windows of many sentences, read from a store; a sentence that fits is one window.

    columns: name to one int array [tokens] a window: `input_ids`, `attention_mask`, perhaps
        `token_type_ids`, and `labels` where tags were given.
    sentence: int32 array [windows], the sentence of each window.
    positions: for each window an array [words], where the first piece of a word stands.
    words: for each window an array [words], which word of the sentence that is.
    lengths: int64 array [sentences], the number of words of each sentence.
    """

    def __init__(self, store: Store, lengths: np.ndarray):
        self.columns = token_columns(store)
        if "labels" in store.names:
            self.columns["labels"] = store.column("labels")
        self.sentence = store.numbers("sentence")
        self.positions = store.column("positions")
        self.words = store.column("words")
        self.lengths = lengths


def continuation_labels(names: Sequence[str]) -> list[int]:
    """For each label that of a word's later pieces: I-X for B-X if there is one, else the same."""
    places = {name: place for place, name in enumerate(names)}
    return [
        places.get("I-" + name[2:], place) if name.startswith("B-") else place
        for place, name in enumerate(names)
    ]


def align_labels(
    word_ids: Sequence[int | None],
    labels: Sequence[int],
    label_all_tokens: bool,
    continuation: Sequence[int],
) -> np.ndarray:
    """The label of each token: of its word on the first piece, `IGNORE_INDEX` on special tokens.

    Args:
        word_ids: the word of each token, None for special ones.
        labels: the label of each word.
        label_all_tokens: whether later pieces of a word get its label too, as `continuation`
            maps it, instead of `IGNORE_INDEX`.
        continuation: what `continuation_labels` returns.

    Returns:
        int32 array [tokens].
    """
    aligned = np.full(len(word_ids), IGNORE_INDEX, dtype=np.int32)
    previous = None
    for position, word in enumerate(word_ids):
        if word is None:
            continue
        if word != previous:
            aligned[position] = labels[word]
        elif label_all_tokens:
            aligned[position] = continuation[labels[word]]
        previous = word
    return aligned


def tokenize(
    encoder: Encoder,
    sentences: Sequence[Sequence[str]],
    *,
    max_seq_length: int,
    labels: Sequence[np.ndarray] | None = None,
    names: Sequence[str] = (),
    label_all_tokens: bool = False,
    cache: RowCache = UNCACHED,
    rows: str = "",
) -> Windows:
    """Tokenise sentences of words into windows of at most `max_seq_length` tokens.

    Nothing is cut away: a sentence too long for one window is split between words into several
    of about equal length, without overlap, so that each word is predicted just once. Only a word
    that alone exceeds a window loses its last pieces; it is predicted at its first.

    Args:
        encoder: of a tokenizer that takes lists of words.
        sentences: the words of each.
        max_seq_length: tokens of a window, special ones included.
        labels: of each word, int arrays [words] of places in `names`.
        names: the labels' names.
        label_all_tokens: see `align_labels`.
        cache: keeps the windows.
        rows: identifies the sentences and their tags; needed with a cache.

    Raises:
        InputError: no room for a word between the special tokens.
    """
    if max_seq_length <= encoder.special_tokens(pair=False):
        raise InputError(
            f"--max_seq_length {max_seq_length} leaves no room beside the special tokens"
        )
    continuation = continuation_labels(names)
    inputs = {
        "rows": rows,
        "tokenizer": encoder.fingerprint,
        "max_length": max_seq_length,
        "names": list(names),
        "labels": [labels is not None, label_all_tokens],
    }

    def build(writer: Writer) -> None:
        tags = repeat(None) if labels is None else labels
        numbered = zip(count(), sentences, tags, strict=False)
        make = partial(
            _window_columns,
            max_seq_length=max_seq_length,
            continuation=continuation,
            label_all_tokens=label_all_tokens,
        )
        for columns in encoder.encode_all(numbered, len(sentences), make):
            writer.write(columns)

    lengths = getattr(sentences, "lengths", None)
    if lengths is None:
        lengths = np.array([len(words) for words in sentences])
    return Windows(cache.get("ner-tokens", inputs, build), lengths)


def _window_columns(
    encoder: Encoder,
    chunk: list[tuple[int, Sequence[str], np.ndarray | None]],
    *,
    max_seq_length: int,
    continuation: Sequence[int],
    label_all_tokens: bool,
) -> dict:
    """The columns of the windows of some sentences: number, words and perhaps tags of each."""
    windows = list(_windows(encoder, chunk, max_seq_length))
    columns = encoder.columns([one for _, _, one, _ in windows])
    columns["sentence"] = np.array([row for row, *_ in windows], np.int32)
    if chunk[0][2] is not None:
        aligned = [
            align_labels(one.word_ids, tags, label_all_tokens, continuation)
            for _, _, one, tags in windows
        ]
        columns["labels"] = ragged_array(aligned, np.int32)
    pieces = [_first_pieces(one.word_ids) for _, _, one, _ in windows]
    columns["positions"] = ragged_array([places for places, _ in pieces], np.int32)
    words = [words + first for (_, words), (_, first, *_) in zip(pieces, windows, strict=True)]
    columns["words"] = ragged_array(words, np.int32)
    return columns


def _windows(
    encoder: Encoder, chunk: list[tuple], max_seq_length: int
) -> Iterator[tuple[int, int, Encoding, np.ndarray | None]]:
    """Of each window its sentence, its first word and its tokens, and the words' labels."""
    room = max_seq_length - encoder.special_tokens(pair=False)
    texts = [words for _, words, _ in chunk]
    encoded = encoder.encode(texts, words=True)
    for (row, words, tags), one in zip(chunk, encoded, strict=True):
        if len(one.ids) <= max_seq_length:
            yield row, 0, one, tags
            continue
        spans = _spans(one.word_ids, len(words), room)
        parts = encoder.encode(
            [words[first:last] for first, last in spans],
            words=True, truncation="longest_first", max_length=max_seq_length,
        )  # fmt: skip
        for (first, last), part in zip(spans, parts, strict=True):
            yield row, first, part, None if tags is None else tags[first:last]


def _spans(word_ids: Sequence[int | None], words: int, room: int) -> list[tuple[int, int]]:
    """Windows as (first word, word after the last), each of at most `room` pieces."""
    pieces = np.bincount([word for word in word_ids if word is not None], minlength=words)
    # As many windows as needed, evenly filled: a last window of two words has no context.
    total = int(pieces.sum())
    even = -(-total // -(-total // room))
    spans = []
    first = held = 0
    for word, number in enumerate(pieces.tolist()):
        if held and (held >= even or held + number > room):
            spans.append((first, word))
            first, held = word, 0
        held += number
    spans.append((first, words))
    return spans


def _first_pieces(word_ids: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    """Where each word's first piece stands, and which word that is."""
    first: dict[int, int] = {}
    for position, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, position)
    return (
        np.fromiter(first.values(), dtype=np.int32, count=len(first)),
        np.fromiter(first.keys(), dtype=np.int32, count=len(first)),
    )


class MergedTags(LazySequence):
    """A tag for every word of every sentence from the windows' token predictions.

    A list of tags for each sentence, as long as its words. A word that the tokenizer turned into
    nothing (a lone control character) was not seen and counts as outside.

    Args:
        windows: what `tokenize` returned.
        predictions: for each window, in order, an int array [at least its tokens] of the best
            label at each token.
        names: the labels' names.
    """

    def __init__(self, windows: Windows, predictions: Sequence[np.ndarray], names: Sequence[str]):
        self._windows, self._predictions, self._names = windows, predictions, names
        rows = np.arange(len(windows.lengths) + 1)
        self._starts = np.searchsorted(windows.sentence, rows).tolist()

    def __len__(self) -> int:
        return len(self._windows.lengths)

    def row(self, row: int) -> list[str]:
        """The tags of one sentence."""
        tags = [OUTSIDE] * int(self._windows.lengths[row])
        for window in range(self._starts[row], self._starts[row + 1]):
            best = self._predictions[window][self._windows.positions[window]]
            words = self._windows.words[window]
            for word, label in zip(words.tolist(), best.tolist(), strict=True):
                tags[word] = self._names[label]
        return tags
