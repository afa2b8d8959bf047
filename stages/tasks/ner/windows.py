"""Sentences as windows of tokens: labels on the way in, a tag for every word on the way out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.tasks.ner.examples import OUTSIDE

# Sentences handed to the tokenizer at once.
_CHUNK = 1000


@dataclass
class Windows:
    """Token windows of many sentences; a sentence that fits is one window.

    columns: name to one int32 array [tokens] a window: what the tokenizer returns (`input_ids`,
        `attention_mask`, perhaps `token_type_ids`), and `labels` where tags were given.
    sentence: int32 array [windows], the sentence of each window.
    positions: for each window an int32 array [words], where the first piece of a word stands.
    words: for each window an int32 array [words], which word of the sentence that is.
    lengths: the number of words of each sentence.
    """

    columns: dict[str, list[np.ndarray]]
    sentence: np.ndarray
    positions: list[np.ndarray]
    words: list[np.ndarray]
    lengths: list[int]


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
    tokenizer,
    sentences: Sequence[Sequence[str]],
    *,
    max_seq_length: int,
    labels: Sequence[np.ndarray] | None = None,
    names: Sequence[str] = (),
    label_all_tokens: bool = False,
) -> Windows:
    """Tokenise sentences of words into windows of at most `max_seq_length` tokens.

    Nothing is cut away: a sentence too long for one window is split between words into several
    of about equal length, without overlap, so that each word is predicted just once. Only a word
    that alone exceeds a window loses its last pieces; it is predicted at its first.

    Args:
        tokenizer: a fast tokenizer; one of the byte-pair kind needs `add_prefix_space`.
        sentences: the words of each.
        max_seq_length: tokens of a window, special ones included.
        labels: for each sentence an int array [words] of places in `names`.
        names: the labels' names.
        label_all_tokens: see `align_labels`.

    Raises:
        InputError: a tokenizer that does not map tokens to words; no room for a word between the
            special tokens.
    """
    if not tokenizer.is_fast:
        raise InputError("the tokenizer is not of the fast kind, which tells words from pieces")
    room = max_seq_length - tokenizer.num_special_tokens_to_add(pair=False)
    if room < 1:
        raise InputError(
            f"--max_seq_length {max_seq_length} leaves no room beside the special tokens"
        )
    windows = Windows({}, np.zeros(0, np.int32), [], [], [len(words) for words in sentences])
    continuation = continuation_labels(names)
    owners = []
    for start in range(0, len(sentences), _CHUNK):
        chunk = sentences[start : start + _CHUNK]
        spans = _spans(tokenizer, chunk, room)
        encoding = tokenizer(
            [list(chunk[row][first:last]) for row, first, last in spans],
            is_split_into_words=True,
            truncation=True,
            max_length=max_seq_length,
        )
        for index, (row, first, _) in enumerate(spans):
            word_ids = encoding.word_ids(index)
            owners.append(start + row)
            for name in encoding:
                column = windows.columns.setdefault(name, [])
                column.append(np.array(encoding[name][index], dtype=np.int32))
            if labels is not None:
                window_labels = labels[start + row][first:]
                windows.columns.setdefault("labels", []).append(
                    align_labels(word_ids, window_labels, label_all_tokens, continuation)
                )
            positions, words = _first_pieces(word_ids)
            windows.positions.append(positions)
            windows.words.append(words + first)
    windows.sentence = np.array(owners, dtype=np.int32)
    return windows


def _spans(tokenizer, sentences: Sequence[Sequence[str]], room: int) -> list[tuple]:
    """Windows as (sentence, first word, word after the last), each of at most `room` pieces."""
    encoding = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        truncation=False,
        verbose=False,
    )
    spans = []
    for row, words in enumerate(sentences):
        total = len(encoding["input_ids"][row])
        if total <= room:
            spans.append((row, 0, len(words)))
            continue
        pieces = np.bincount(
            [word for word in encoding.word_ids(row) if word is not None], minlength=len(words)
        )
        # As many windows as needed, evenly filled: a last window of two words has no context.
        even = -(-total // -(-total // room))
        first = held = 0
        for word, count in enumerate(pieces):
            if held and (held >= even or held + count > room):
                spans.append((row, first, word))
                first, held = word, 0
            held += count
        spans.append((row, first, len(words)))
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


def merge_predictions(
    windows: Windows, predictions: Sequence[np.ndarray], names: Sequence[str]
) -> list[list[str]]:
    """A tag for every word of every sentence from the windows' token predictions.

    Args:
        windows: what `tokenize` returned.
        predictions: for each window, in order, an int array [at least its tokens] of the best
            label at each token.
        names: the labels' names.

    Returns:
        For each sentence a list of tags as long as its words. A word that the tokenizer turned
        into nothing (a lone control character) was not seen and counts as outside.
    """
    tags = [[OUTSIDE] * length for length in windows.lengths]
    for window, best in enumerate(predictions):
        sentence = tags[windows.sentence[window]]
        found = np.asarray(best)[windows.positions[window]]
        for word, label in zip(windows.words[window], found, strict=True):
            sentence[word] = names[label]
    return tags
