"""Question and context as windows of tokens that overlap, with the answer's place in each."""

from functools import partial
from itertools import count, repeat

import numpy as np

from stages.core.errors import InputError
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, token_columns
from stages.data.store import Store
from stages.data.writer import Writer, ragged_array
from stages.tasks.qa.examples import Examples

# Longest question in tokens, as in BERT's own SQuAD code: a longer one would leave the context
# no room. Only what comes after is cut away.
MAX_QUESTION = 64

# The numbers of each window, and its labels.
PLACES = ("example", "cls", "first", "last")
LABELS = ("start_positions", "end_positions")


class Windows:
    """Token windows of many questions, not padded, read from a store.

    columns: name to one entry a window: int arrays [tokens] (`input_ids`, `attention_mask`, perhaps
        `token_type_ids`), and where labels were asked for the numbers `start_positions` and
        `end_positions`.
    example: int32 array [windows], the question of each; the windows of one stand together.
    cls: int32 array [windows], the token that stands for "no answer".
    first, last: int32 arrays [windows], the context's first token, and its last.
    """

    def __init__(self, store: Store):
        self.columns = token_columns(store)
        self.example, self.cls, self.first, self.last = map(store.numbers, PLACES)
        self._offsets = None
        if "offsets" in store.names:
            self._offsets = store.column("offsets")
        else:
            self.columns |= {name: store.numbers(name) for name in LABELS}

    def __len__(self) -> int:
        return len(self.example)

    def offsets(self, window: int) -> np.ndarray:
        """The characters of the context that each of its tokens covers.

        An int32 array [last - first + 1, 2]. They are kept where answers are to be found, not with
        labels.
        """
        return self._offsets[window].reshape(-1, 2)


def tokenize(
    encoder: Encoder,
    examples: Examples,
    *,
    max_seq_length: int,
    doc_stride: int,
    labels: bool,
    cache: RowCache = UNCACHED,
) -> Windows:
    """Windows of question and context; only the context is cut, and each cut overlaps.

    White space before a question is dropped: some data sets have a lot of it, and it would
    count in a question's length.

    Args:
        encoder: of a tokenizer that pads on the right.
        examples: the questions; with `labels` their first answer is the one to find.
        max_seq_length: tokens of a window, special ones included.
        doc_stride: tokens of the context that two windows after each other share.
        labels: whether to add `start_positions` and `end_positions`, tokens of the window. Both
            are the window's `cls` where it does not hold the whole answer, or there is none.
        cache: keeps the windows.

    Raises:
        InputError: a tokenizer of another kind; a question that leaves too little room.
    """
    tokenizer = encoder.tokenizer
    _check_tokenizer(tokenizer)
    inputs = {
        "rows": examples.store.fingerprint,
        "tokenizer": encoder.fingerprint,
        "settings": [max_seq_length, doc_stride, labels],
    }

    make = partial(_columns, max_seq_length=max_seq_length, doc_stride=doc_stride, labels=labels)

    def build(writer: Writer) -> None:
        answers = zip(examples.answers, examples.starts, strict=True) if labels else repeat(None)
        rows = zip(count(), examples.questions, examples.contexts, answers, strict=False)
        try:
            for columns in encoder.encode_all(rows, len(examples), make):
                writer.write(columns)
        except _NoRoom as error:
            row, message = error.args
            raise InputError(f"{examples.where(row)}: {message}") from None

    return Windows(cache.get("qa-tokens", inputs, build))


class _NoRoom(Exception):
    """A question that leaves too little room: its row, and the message without its place."""


def _columns(
    encoder: Encoder, rows: list[tuple], *, max_seq_length: int, doc_stride: int, labels: bool
) -> dict:
    """The columns of the windows of some rows.

    Args:
        encoder: of the model's tokenizer.
        rows: number, question, context, and with `labels` the answers' texts and places.
        max_seq_length, doc_stride, labels: as in `tokenize`.

    Raises:
        _NoRoom: see there.
    """
    questions = _questions(encoder, rows, max_seq_length, doc_stride)
    encoded = encoder.encode(
        [(question, row[2]) for question, row in zip(questions, rows, strict=True)],
        truncation="only_second", max_length=max_seq_length, stride=doc_stride,
    )  # fmt: skip
    windows = [
        (number, answer, window)
        for (number, _, _, answer), first in zip(rows, encoded, strict=True)
        for window in (first, *first.overflowing)
    ]
    columns = encoder.columns([window for _, _, window in windows])
    places, offsets, positions = [], [], []
    for number, answer, window in windows:
        cls = window.ids.index(encoder.tokenizer.cls_token_id)
        segments = window.sequence_ids
        if 1 in segments:
            first, last = segments.index(1), len(segments) - 1 - segments[::-1].index(1)
        else:  # a context of which the tokenizer leaves nothing
            first, last = len(segments), len(segments) - 1
        places.append((number, cls, first, last))
        covered = np.array(window.offsets[first : last + 1], np.int32).reshape(-1, 2)
        if labels:
            positions.append(_answer_tokens(answer, covered, cls, first))
        else:
            offsets.append(covered.reshape(-1))
    columns |= zip(PLACES, np.array(places, np.int32).T, strict=True)
    if labels:
        columns |= zip(LABELS, np.array(positions, np.int32).T, strict=True)
    else:
        columns["offsets"] = ragged_array(offsets, np.int32)
    return columns


def _check_tokenizer(tokenizer):
    if not tokenizer.is_fast:
        raise InputError("the tokenizer is not of the fast kind, which tells where tokens stand")
    if tokenizer.padding_side != "right":
        raise InputError(
            f"the tokenizer pads on the {tokenizer.padding_side}; question answering needs a "
            "model that is padded on the right"
        )
    if tokenizer.cls_token_id not in tokenizer("a")["input_ids"]:
        raise InputError(
            "the tokenizer writes no [CLS] token before a text, which stands for 'no answer' here"
        )


def _questions(
    encoder: Encoder, rows: list[tuple], max_seq_length: int, doc_stride: int
) -> list[str]:
    """The questions of `rows`, cut to `MAX_QUESTION` tokens; refuses one that leaves no room."""
    questions = [question.lstrip() for _, question, *_ in rows]
    encoded = encoder.encode(questions, special_tokens=False)
    special = encoder.special_tokens(pair=True)
    for index, ((row, *_), one) in enumerate(zip(rows, encoded, strict=True)):
        length = len(one.ids)
        if length > MAX_QUESTION:
            end = one.offsets[MAX_QUESTION - 1][1]
            questions[index], length = questions[index][:end], MAX_QUESTION
        room = max_seq_length - special - length
        if room <= doc_stride:
            raise _NoRoom(
                row,
                f"with {length} tokens of question and {special} special ones --max_seq_length "
                f"{max_seq_length} leaves {max(room, 0)} for the context, which must be more than "
                f"--doc_stride {doc_stride}",
            )
    return questions


def _answer_tokens(
    answer: tuple[list[str], np.ndarray], offsets: np.ndarray, cls: int, first: int
) -> tuple[int, int]:
    """First and last token of the first answer in a window, or twice its `cls`.

    Args:
        answer: the texts of the answers, and where in the context they begin.
        offsets: int32 [tokens of the context, 2], the characters that each covers.
        cls, first: places in the window.
    """
    texts, starts = answer
    if not texts or not len(offsets):
        return cls, cls
    begin = int(starts[0])
    end = begin + len(texts[0])
    if offsets[0, 0] > begin or offsets[-1, 1] < end:
        return cls, cls
    # The tokens that overlap the answer: of several for one character (its bytes) all of them.
    start = int(np.searchsorted(offsets[:, 1], begin, side="right"))
    stop = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    if stop < start:
        return cls, cls
    return first + start, first + stop
