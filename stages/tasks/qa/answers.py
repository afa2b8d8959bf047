"""From start and end scores of tokens to the answer of each question."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stages.data.rows import write_rows
from stages.data.store import Store
from stages.data.views import Mapped
from stages.data.writer import build_store
from stages.tasks.odds import softmax
from stages.tasks.qa.examples import Examples
from stages.tasks.qa.windows import Windows

# Windows searched at once: bounds the pairs of start and end held in memory.
_CHUNK = 256


class Answers:
    """What was found, one entry a question, read from a store.

    texts: the answer; "" for none.
    spans: the best answer that is not empty, whatever the null score; "" where no token of the
        context can be one.
    null_odds: float64 array [questions], the null score less that of `spans`; None where every
        question has an answer.
    nbest: the candidates, best first, each with `text`, `probability` and its logits.
    ids: the questions' ids.

    Args:
        ids: as above.
        store: what `find_answers` writes.
        may_be_null: whether a question may have no answer.
    """

    def __init__(self, ids: Sequence[str], store: Store, *, may_be_null: bool):
        self.ids = ids
        self.texts, self.spans = store.column("text"), store.column("span")
        self.nbest = Mapped(store.column("nbest"), json.loads)
        self.null_odds = store.numbers("odds") if may_be_null else None

    def predictions(self) -> Iterator[dict]:
        """What the metric takes: spans and null odds, or the texts where all have answers.

        With `no_answer_threshold` set to `null_score_diff_threshold` the metric of SQuAD v2
        scores exactly `texts`, and the best threshold that it finds is one for that flag.
        """
        if self.null_odds is None:
            for name, text in zip(self.ids, self.texts, strict=True):
                yield {"id": name, "prediction_text": text}
            return
        odds = map(float, self.null_odds)
        for name, span, value in zip(self.ids, self.spans, odds, strict=True):
            yield {"id": name, "prediction_text": span, "no_answer_probability": value}

    def files(self) -> dict[str, Iterator[tuple[str, Any]]]:
        """The entries of the prediction files of SQuAD's scripts, by name.

        `predictions` maps id to answer, `nbest_predictions` id to candidates, and `null_odds`,
        only where questions may have no answer, id to null odds.
        """
        files = {
            "predictions": zip(self.ids, self.texts, strict=True),
            "nbest_predictions": zip(self.ids, self.nbest, strict=True),
        }
        if self.null_odds is not None:
            files["null_odds"] = zip(self.ids, map(float, self.null_odds), strict=True)
        return files


def find_answers(
    examples: Examples,
    windows: Windows,
    start_logits: Sequence[np.ndarray],
    end_logits: Sequence[np.ndarray],
    *,
    version_2_with_negative: bool = False,
    n_best_size: int = 20,
    max_answer_length: int = 30,
    null_score_diff_threshold: float = 0.0,
) -> Answers:
    """The best spans of each question over all its windows.

    A span starts and ends at one of the window's `n_best_size` best context tokens and is at
    most `max_answer_length` tokens long; its score is the sum of both logits. The null score is
    the lowest sum at `cls` over the windows: a question is unanswerable only if no window holds
    its answer. A question is left unanswered where the null score is ahead of the best span's
    by more than `null_score_diff_threshold`, or where there is no span. Tokens outside the
    context are left out before the best are chosen, so that they crowd no span out.

    Args:
        examples: the questions.
        windows: what `tokenize` made of them.
        start_logits, end_logits: for each window a float array [at least its tokens].

    Source: the procedure of BERT's SQuAD code (Devlin et al. 2019).
    """

    def rows() -> Iterator[tuple]:
        found = _candidates(windows, start_logits, end_logits, n_best_size, max_answer_length)
        for (candidates, null), context in zip(found, examples.contexts, strict=True):
            entries = _best_entries(candidates, context, n_best_size)
            spans = [entry for entry in entries if entry["text"]]
            span = spans[0]["text"] if spans else ""
            # As in the official files, a span that does not exist scores 0.
            best = spans[0]["start_logit"] + spans[0]["end_logit"] if spans else 0.0
            text, odds = span, 0.0
            if version_2_with_negative:
                start, end = null
                entries = [*entries, {"text": "", "start_logit": start, "end_logit": end}]
                odds = start + end - best
                if odds > null_score_diff_threshold:
                    text = ""
            elif not entries:
                entries = [{"text": "", "start_logit": 0.0, "end_logit": 0.0}]
            yield text, span, odds, json.dumps(_with_probabilities(entries))

    types = {
        **dict.fromkeys(("text", "span"), pa.string()),
        "odds": pa.float64(),
        "nbest": pa.string(),
    }
    store = build_store(lambda writer: write_rows(writer, types, rows()))
    return Answers(examples.ids, store, may_be_null=version_2_with_negative)


# A candidate: score, first character, character after the last, start and end logit.
_Candidate = tuple[float, int, int, float, float]


def _candidates(
    windows: Windows,
    start_logits: Sequence[np.ndarray],
    end_logits: Sequence[np.ndarray],
    n_best_size: int,
    max_answer_length: int,
) -> Iterator[tuple[list[_Candidate], tuple[float, float]]]:
    """Each question's candidates from all its windows, and its null score's two logits."""
    question = 0
    candidates: list[_Candidate] = []
    null = (np.inf, np.inf)
    for begin in range(0, len(windows), _CHUNK):
        rows = range(begin, min(begin + _CHUNK, len(windows)))
        offsets = [windows.offsets(row) for row in rows]
        starts, start_tokens = _top_tokens(windows, start_logits, rows, offsets, n_best_size)
        ends, end_tokens = _top_tokens(windows, end_logits, rows, offsets, n_best_size)
        length = end_tokens[:, None, :] - start_tokens[:, :, None] + 1
        scores = starts[:, :, None] + ends[:, None, :]
        scores[(length < 1) | (length > max_answer_length)] = -np.inf
        flat = scores.reshape(len(rows), -1)
        order = np.argsort(-flat, axis=1, kind="stable")[:, :n_best_size]
        for index, row in enumerate(rows):
            if windows.example[row] != question:
                yield candidates, null
                question, candidates, null = windows.example[row], [], (np.inf, np.inf)
            cls = windows.cls[row]
            here = float(start_logits[row][cls]), float(end_logits[row][cls])
            null = min(null, here, key=sum)
            for place in order[index]:
                if flat[index, place] == -np.inf:
                    break
                i, j = divmod(int(place), ends.shape[1])
                candidates.append(
                    (
                        float(flat[index, place]),
                        int(offsets[index][start_tokens[index, i], 0]),
                        int(offsets[index][end_tokens[index, j], 1]),
                        float(starts[index, i]),
                        float(ends[index, j]),
                    )
                )
    yield candidates, null


def _top_tokens(
    windows: Windows,
    logits: Sequence[np.ndarray],
    rows: range,
    offsets: list[np.ndarray],
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The best context tokens of some windows.

    Returns:
        Logits, float64 [windows, count], -inf where a context is shorter than that, and the
        tokens' places counted from the context's first, int64 [windows, count].
    """
    widest = max(map(len, offsets))
    padded = np.full((len(rows), max(widest, 1)), -np.inf)
    for index, row in enumerate(rows):
        context = logits[row][windows.first[row] : windows.last[row] + 1]
        padded[index, : len(context)] = context
    places = np.argsort(-padded, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(padded, places, axis=1), places


def _best_entries(candidates: list[_Candidate], context: str, count: int) -> list[dict]:
    """The best `count` spans, each once though it was found in two windows."""
    entries: dict[tuple[int, int], dict] = {}
    for _, first, last, start, end in sorted(candidates, key=lambda item: -item[0]):
        if (first, last) not in entries:
            text = context[first:last]
            entries[first, last] = {"text": text, "start_logit": start, "end_logit": end}
            if len(entries) == count:
                break
    return list(entries.values())


def _with_probabilities(entries: list[dict]) -> list[dict]:
    """The entries by descending score, each with its share of the softmax over them all."""
    entries = sorted(entries, key=lambda entry: -(entry["start_logit"] + entry["end_logit"]))
    odds = softmax([entry["start_logit"] + entry["end_logit"] for entry in entries])
    return [
        {"text": entry["text"], "probability": probability, **entry}
        for entry, probability in zip(entries, odds, strict=True)
    ]
