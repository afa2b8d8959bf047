"""Exact match and F1 of answers, as SQuAD defines them."""

import math
import re
import string
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

import datasets
import numpy as np

from stages.tasks.local_metric import LocalMetric

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

_TEXT = datasets.Value("string")


def normalise(answer: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single blanks between words."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_score(prediction: str, gold: str) -> int:
    """1 where both are the same once normalised, else 0."""
    return int(normalise(prediction) == normalise(gold))


def f1_score(prediction: str, gold: str, *, empty_matches: bool = True) -> float:
    """Harmonic mean of precision and recall over the words of both, as multisets.

    Args:
        empty_matches: whether two answers of no words agree, as in SQuAD v2; in v1 no word in
            common is 0 even then.
    """
    predicted, expected = normalise(prediction).split(), normalise(gold).split()
    if empty_matches and not (predicted and expected):
        return float(predicted == expected)
    common = (Counter(predicted) & Counter(expected)).total()
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(expected)
    return 2 * precision * recall / (precision + recall)


class Squad(LocalMetric):
    """SQuAD v1: every question has an answer; the best of its gold answers counts.

    Returns, in percent, `exact_match`, `f1`, and `exact`, equal to `exact_match`, so that a gate
    has one name in both versions.

    Source: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250.
    """

    description = "Exact match and F1 of SQuAD v1"

    def input_features(self) -> datasets.Features:
        """`id` and `prediction_text`; `id` and the gold `answers` with `text`, `answer_start`."""
        return _features({"id": _TEXT, "prediction_text": _TEXT})

    def _start(self) -> None:
        self._rows = self._exact = 0
        self._f1 = 0.0

    def _add(self, predictions: list[dict], references: list[dict]) -> None:
        for entry, golds in _pairs(predictions, references):
            text = entry["prediction_text"]
            self._rows += 1
            self._exact += max(exact_score(text, gold) for gold in golds)
            self._f1 += max(f1_score(text, gold, empty_matches=False) for gold in golds)

    def _result(self) -> dict[str, float]:
        exact, f1 = 100.0 * self._exact / self._rows, 100.0 * self._f1 / self._rows
        return {"exact": exact, "exact_match": exact, "f1": f1}


class SquadV2(LocalMetric):
    """SQuAD v2: a question may have no answer, which a prediction of "" means.

    A prediction also has a `no_answer_probability`, any number that grows with the belief that
    there is none. Where it exceeds `no_answer_threshold` the prediction counts as "".

    Returns, in percent, `exact` and `f1`; the same with `total` over questions with and without
    answers (`HasAns_`, `NoAns_`, where there are such); and what the best threshold would give:
    `best_exact`, `best_exact_thresh`, `best_f1`, `best_f1_thresh`.

    Source: Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822.
    """

    description = "Exact match and F1 of SQuAD v2"

    def input_features(self) -> datasets.Features:
        """As for v1, with a `no_answer_probability`."""
        return _features(
            {
                "id": _TEXT,
                "prediction_text": _TEXT,
                "no_answer_probability": datasets.Value("float64"),
            }
        )

    def _start(self) -> None:
        # Of each question: whether it has an answer, the scores of its text, its number, and
        # whether there is a text.
        self._has_answer, self._exact, self._given = array("b"), array("b"), array("b")
        self._f1, self._nulls = array("d"), array("d")

    def _add(self, predictions: list[dict], references: list[dict]) -> None:
        for entry, answers in _pairs(predictions, references):
            text = entry["prediction_text"]
            # A gold answer that is nothing but punctuation and articles cannot be met.
            golds = [answer for answer in answers if normalise(answer)] or [""]
            self._has_answer.append(bool(answers))
            self._exact.append(max(exact_score(text, gold) for gold in golds))
            self._f1.append(max(f1_score(text, gold) for gold in golds))
            self._nulls.append(entry["no_answer_probability"])
            self._given.append(bool(text))

    def _result(self, no_answer_threshold: float = 1.0) -> dict[str, float]:
        has_answer = np.array(self._has_answer, bool)
        values = {"exact": np.array(self._exact), "f1": np.array(self._f1)}
        nulls = np.array(self._nulls)
        silent = nulls > no_answer_threshold
        scores = {name: np.where(silent, ~has_answer, column) for name, column in values.items()}
        result = _means(scores, np.ones_like(has_answer), "")
        if has_answer.any():
            result |= _means(scores, has_answer, "HasAns_")
        if not has_answer.all():
            result |= _means(scores, ~has_answer, "NoAns_")
        # Among equal numbers the official search keeps the predictions' own order.
        order = np.argsort(nulls, kind="stable")
        given = np.array(self._given, bool)
        for name, column in values.items():
            best, threshold = best_threshold(column, has_answer, nulls, given, order)
            result[f"best_{name}"], result[f"best_{name}_thresh"] = best, threshold
        return result


def _features(prediction: dict) -> datasets.Features:
    answers = datasets.Sequence({"text": _TEXT, "answer_start": datasets.Value("int32")})
    return datasets.Features(
        {"predictions": prediction, "references": {"id": _TEXT, "answers": answers}}
    )


def _pairs(predictions: list[dict], references: list[dict]) -> Iterator[tuple[dict, list[str]]]:
    """Each prediction with the gold answers of its question.

    Raises:
        ValueError: it is for another question than the reference in its place.
    """
    for entry, reference in zip(predictions, references, strict=True):
        if entry["id"] != reference["id"]:
            raise ValueError(
                f"a prediction for {entry['id']!r} in the place of one for {reference['id']!r}; "
                "give predictions in the order of the references"
            )
        yield entry, reference["answers"]["text"]


def _means(scores: dict[str, np.ndarray], chosen: np.ndarray, prefix: str) -> dict[str, float]:
    total = int(chosen.sum())
    result: dict[str, float] = {}
    for name, values in scores.items():
        # Added one by one, as the official script does: NumPy adds pairwise.
        result[prefix + name] = 100.0 * sum(values[chosen].tolist()) / total
    return {**result, prefix + "total": total}


def best_threshold(
    scores: Sequence[float],
    has_answer: Sequence[bool],
    nulls: Sequence[float],
    given: Sequence[bool],
    order: Sequence[int],
) -> tuple[float, float]:
    """The highest mean score, in percent, that a threshold on `nulls` reaches, and the first such.

    Questions whose number in `nulls` is at most the threshold keep their answer, the others have
    none. From "none has an answer", each question in `order`, by ascending number, wins its
    score if it has an answer, and otherwise loses the point for silence if there is a text, as
    `given` says. Questions with the same number are taken one by one, as the official search does.
    """
    has_answer, nulls, order = np.asarray(has_answer, bool), np.asarray(nulls), np.asarray(order)
    steps = np.where(has_answer, scores, -np.asarray(given, np.float64))[order]
    # The sum after each question, added one by one; first that of silence.
    reached = np.cumsum(np.concatenate([[np.count_nonzero(~has_answer)], steps]))
    place = int(reached.argmax())
    if place:
        threshold = float(nulls[order[place - 1]])
    else:
        # No answer at all. The official search says 0, since it expects probabilities; of logits,
        # which can be negative, only what lies below them all has that meaning.
        lowest = float(nulls[order[0]])
        threshold = math.nextafter(lowest, -math.inf) if lowest < 0 else 0.0
    return 100.0 * float(reached[place]) / len(has_answer), threshold
