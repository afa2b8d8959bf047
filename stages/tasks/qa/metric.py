"""Exact match and F1 of answers, as SQuAD defines them."""

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

import datasets

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

    def _compute(self, predictions, references) -> dict[str, float]:
        texts = {entry["id"]: entry["prediction_text"] for entry in predictions}
        exact = f1 = 0
        for reference in references:
            text = texts[reference["id"]]
            golds = reference["answers"]["text"]
            exact += max(exact_score(text, gold) for gold in golds)
            f1 += max(f1_score(text, gold, empty_matches=False) for gold in golds)
        exact, f1 = 100.0 * exact / len(references), 100.0 * f1 / len(references)
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

    def _compute(
        self, predictions, references, no_answer_threshold: float = 1.0
    ) -> dict[str, float]:
        given = {entry["id"]: entry for entry in predictions}
        has_answer, exact, f1, nulls, texts = [], [], [], [], []
        for reference in references:
            entry = given[reference["id"]]
            text = entry["prediction_text"]
            answers = reference["answers"]["text"]
            # A gold answer that is nothing but punctuation and articles cannot be met.
            golds = [answer for answer in answers if normalise(answer)] or [""]
            has_answer.append(bool(answers))
            exact.append(max(exact_score(text, gold) for gold in golds))
            f1.append(max(f1_score(text, gold) for gold in golds))
            nulls.append(entry["no_answer_probability"])
            texts.append(text)
        scores = {}
        for name, values in (("exact", exact), ("f1", f1)):
            scores[name] = [
                float(not has) if null > no_answer_threshold else value
                for value, has, null in zip(values, has_answer, nulls, strict=True)
            ]
        result = _means(scores, [True] * len(has_answer), "")
        if any(has_answer):
            result |= _means(scores, has_answer, "HasAns_")
        if not all(has_answer):
            result |= _means(scores, [not has for has in has_answer], "NoAns_")
        # Among equal numbers the official search keeps the predictions' own order.
        place = {reference["id"]: index for index, reference in enumerate(references)}
        order = [place[entry["id"]] for entry in predictions if entry["id"] in place]
        order.sort(key=nulls.__getitem__)
        for name, values in (("exact", exact), ("f1", f1)):
            best, threshold = best_threshold(values, has_answer, nulls, texts, order)
            result[f"best_{name}"], result[f"best_{name}_thresh"] = best, threshold
        return result


def _features(prediction: dict) -> datasets.Features:
    answers = datasets.Sequence({"text": _TEXT, "answer_start": datasets.Value("int32")})
    return datasets.Features(
        {"predictions": prediction, "references": {"id": _TEXT, "answers": answers}}
    )


def _means(scores: dict[str, list[float]], chosen: list[bool], prefix: str) -> dict[str, float]:
    total = sum(chosen)
    result: dict[str, float] = {}
    for name, values in scores.items():
        kept = [value for value, keep in zip(values, chosen, strict=True) if keep]
        result[prefix + name] = 100.0 * sum(kept) / total
    return {**result, prefix + "total": total}


def best_threshold(
    scores: Sequence[float],
    has_answer: Sequence[bool],
    nulls: Sequence[float],
    texts: Sequence[str],
    order: Sequence[int],
) -> tuple[float, float]:
    """The highest mean score, in percent, that a threshold on `nulls` reaches, and the first such.

    Questions whose number in `nulls` is at most the threshold keep their answer, the others have
    none. From "none has an answer", each question in `order`, by ascending number, wins its
    score if it has an answer, and otherwise loses the point for silence unless its text is
    empty. Questions with the same number are taken one by one, as the official search does.
    """
    current = best = len(has_answer) - sum(has_answer)
    # No answer at all. The official search says 0, since it expects probabilities; of logits,
    # which can be negative, only what lies below them all has that meaning.
    threshold = 0.0
    if nulls[order[0]] < 0:
        threshold = math.nextafter(nulls[order[0]], -math.inf)
    for index in order:
        if has_answer[index]:
            current += scores[index]
        elif texts[index]:
            current -= 1
        if current > best:
            best, threshold = current, nulls[index]
    return 100.0 * best / len(scores), threshold
