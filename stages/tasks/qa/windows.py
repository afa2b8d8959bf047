"""Question and context as windows of tokens that overlap, with the answer's place in each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.errors import InputError
from stages.tasks.qa.examples import Examples

# Longest question in tokens, as in BERT's own SQuAD code: a longer one would leave the context
# no room. Only what comes after is cut away.
MAX_QUESTION = 64

# Questions handed to the tokenizer at once: enough to keep its threads busy, little memory.
_CHUNK = 500


@dataclass
class Windows:
    """Token windows of many questions, not padded.

    columns: name to one entry a window: int32 arrays [tokens] that the tokenizer returns
        (`input_ids`, `attention_mask`, perhaps `token_type_ids`), and where labels were asked
        for the numbers `start_positions` and `end_positions`.
    example: int32 array [windows], the question of each; the windows of one stand together.
    cls: int32 array [windows], the token that stands for "no answer".
    first, last: int32 arrays [windows], the context's first token, and its last.
    offsets: for each window an int32 array [last - first + 1, 2]: the characters of the context
        that each of its tokens covers.
    """

    columns: dict[str, list]
    example: np.ndarray
    cls: np.ndarray
    first: np.ndarray
    last: np.ndarray
    offsets: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.example)


def tokenize(
    tokenizer, examples: Examples, *, max_seq_length: int, doc_stride: int, labels: bool
) -> Windows:
    """Windows of question and context; only the context is cut, and each cut overlaps.

    White space before a question is dropped: some data sets have a lot of it, and it would
    count in a question's length.

    Args:
        tokenizer: a fast one that pads on the right.
        examples: the questions; with `labels` their first answer is the one to find.
        max_seq_length: tokens of a window, special ones included.
        doc_stride: tokens of the context that two windows after each other share.
        labels: whether to add `start_positions` and `end_positions`, tokens of the window. Both
            are the window's `cls` where it does not hold the whole answer, or there is none.

    Raises:
        InputError: a tokenizer of another kind; a question that leaves too little room.
    """
    _check_tokenizer(tokenizer)
    columns: dict[str, list] = {}
    owners: list[int] = []
    places: list[tuple[int, int, int]] = []
    offsets: list[np.ndarray] = []
    for start in range(0, len(examples), _CHUNK):
        rows = range(start, min(start + _CHUNK, len(examples)))
        encoding = tokenizer(
            _questions(tokenizer, examples, rows, max_seq_length, doc_stride),
            [examples.contexts[row] for row in rows],
            truncation="only_second",
            max_length=max_seq_length,
            stride=doc_stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        mapping = encoding.pop("offset_mapping")
        for index, row in enumerate(encoding.pop("overflow_to_sample_mapping")):
            for name in encoding:
                column = np.array(encoding[name][index], dtype=np.int32)
                columns.setdefault(name, []).append(column)
            segments = encoding.sequence_ids(index)
            cls = encoding["input_ids"][index].index(tokenizer.cls_token_id)
            if 1 in segments:
                first, last = segments.index(1), len(segments) - 1 - segments[::-1].index(1)
            else:  # a context of which the tokenizer leaves nothing
                first, last = len(segments), len(segments) - 1
            owners.append(start + row)
            places.append((cls, first, last))
            window = mapping[index][first : last + 1]
            offsets.append(np.array(window, dtype=np.int32).reshape(-1, 2))
    cls, first, last = np.array(places, dtype=np.int32).T
    windows = Windows(columns, np.array(owners, dtype=np.int32), cls, first, last, offsets)
    if labels:
        positions = [_answer_tokens(examples, windows, index) for index in range(len(windows))]
        columns["start_positions"] = [np.int32(start) for start, _ in positions]
        columns["end_positions"] = [np.int32(end) for _, end in positions]
    return windows


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
    tokenizer, examples: Examples, rows: Sequence[int], max_seq_length: int, doc_stride: int
) -> list[str]:
    """The questions of `rows`, cut to `MAX_QUESTION` tokens; refuses one that leaves no room."""
    questions = [examples.questions[row].lstrip() for row in rows]
    encoding = tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    for index, (row, ids) in enumerate(zip(rows, encoding["input_ids"], strict=True)):
        length = len(ids)
        if length > MAX_QUESTION:
            end = encoding["offset_mapping"][index][MAX_QUESTION - 1][1]
            questions[index], length = questions[index][:end], MAX_QUESTION
        room = max_seq_length - special - length
        if room <= doc_stride:
            raise InputError(
                f"{examples.where(row)}: with {length} tokens of question and {special} special "
                f"ones --max_seq_length {max_seq_length} leaves {max(room, 0)} for the context, "
                f"which must be more than --doc_stride {doc_stride}"
            )
    return questions


def _answer_tokens(examples: Examples, windows: Windows, index: int) -> tuple[int, int]:
    """First and last token of the first answer in a window, or twice its `cls`."""
    row = windows.example[index]
    offsets = windows.offsets[index]
    cls = int(windows.cls[index])
    if not examples.answers[row] or not len(offsets):
        return cls, cls
    begin = examples.starts[row][0]
    end = begin + len(examples.answers[row][0])
    if offsets[0, 0] > begin or offsets[-1, 1] < end:
        return cls, cls
    # The tokens that overlap the answer: of several for one character (its bytes) all of them.
    start = int(np.searchsorted(offsets[:, 1], begin, side="right"))
    stop = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    if stop < start:
        return cls, cls
    return int(windows.first[index]) + start, int(windows.first[index]) + stop
