"""What silence and the overlap of words reach on question answering."""

import re

from stages.tasks.qa.examples import Examples, read_examples
from stages.tasks.qa.metric import Squad, SquadV2, normalise

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s)[^.!?\n]*)*")
_WORD = re.compile(r"\w+")
# Capitalised words and numbers in a row.
_NAME = re.compile(r"(?:[A-Z]|[0-9])\w*(?:[ -](?:[A-Z]|[0-9])\w*)*")


def measure(folder: str) -> dict[str, dict[str, float]]:
    """`baselines` of a folder in the task's standard form."""
    test = read_examples(f"{folder}/test.json", version_2_with_negative=True)
    return baselines(test, version_2_with_negative=not all(test.answers))


def baselines(held_out: Examples, *, version_2_with_negative: bool) -> dict[str, dict[str, float]]:
    """The metrics of simple methods, under the model's metric names.

    `overlap` takes, of the sentence that shares most words with the question, the first run of
    capitalised words and numbers that the question does not have, else the sentence; `no_answer`,
    where that may be right, never answers. Neither has seen any training data.
    """
    found = [
        overlap_answer(question, context)
        for question, context in zip(held_out.questions, held_out.contexts, strict=True)
    ]
    if not version_2_with_negative:
        return {"overlap": _score(Squad(), held_out, found, {})}
    extra = {"no_answer_probability": 0.0}
    return {
        "overlap": _score(SquadV2(), held_out, found, extra),
        "no_answer": _score(SquadV2(), held_out, [""] * len(held_out), extra),
    }


def _score(metric, examples: Examples, texts: list[str], extra: dict) -> dict[str, float]:
    predictions = (
        {"id": name, "prediction_text": text, **extra}
        for name, text in zip(examples.ids, texts, strict=True)
    )
    return metric.compute(predictions=predictions, references=examples.references())


def overlap_answer(question: str, context: str) -> str:
    """The answer of the method `overlap`: a piece of the context."""
    asked = set(_WORD.findall(question.lower()))
    sentences = [match.group().strip() for match in _SENTENCE.finditer(context)]
    best = max(
        sentences,
        key=lambda sentence: len(asked.intersection(_WORD.findall(sentence.lower()))),
        default=context.strip(),
    )
    for match in _NAME.finditer(best):
        words = _WORD.findall(match.group().lower())
        # A lone word at the sentence's beginning has its capital from there.
        first = match.start() == 0 and len(words) == 1 and not words[0].isdigit()
        if not first and normalise(match.group()) and not asked.intersection(words):
            return match.group()
    return best
