"""Feed stored predictions to a metric, row by row.

    python -m stages.tools.scale.metric ner results.json

A row of the file has `prediction` and `reference`. `scale` runs this in a process of its own.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from stages.tools.scale.rows import number, sentence, words


class Case(NamedTuple):
    """A metric to feed.

    task: whose metric it is.
    make: imports and makes it.
    row: a prediction and its reference, by chance.
    options: of its `compute`.
    """

    task: str
    make: Callable[[], Any]
    row: Callable[[random.Random, int], tuple]
    options: dict = {}  # noqa: RUF012 - never changed


def _glue(name: str | None) -> Callable:
    def make():
        from stages.tasks.glue.metric import Glue

        return Glue(name) if name else Glue()

    return make


def _entities():
    from stages.tasks.ner.metric import NamedEntities

    return NamedEntities()


def _squad():
    from stages.tasks.qa.metric import Squad

    return Squad()


def _squad_v2():
    from stages.tasks.qa.metric import SquadV2

    return SquadV2()


def _rouge():
    from stages.tasks.summarization.metric import Rouge

    return Rouge()


def _word_errors():
    from stages.tasks.speech.metric import WordErrors

    return WordErrors()


def _classes(rng: random.Random, row: int) -> tuple:
    return rng.randrange(2), rng.randrange(2)


def _numbers(rng: random.Random, row: int) -> tuple:
    return rng.random(), rng.random()


def _tags(rng: random.Random, row: int) -> tuple:
    tags = sentence(rng, row)["ner_tags"]
    return [tag if rng.random() < 0.9 else "O" for tag in tags], tags


def _answer(rng: random.Random, row: int) -> tuple:
    answer = words(rng, row, 1, 3)
    prediction = answer if row % 2 else words(rng, row, 1, 3)
    return (
        {"id": number(row), "prediction_text": " ".join(prediction)},
        {"id": number(row), "answers": {"text": [" ".join(answer)], "answer_start": [0]}},
    )


def _answer_v2(rng: random.Random, row: int) -> tuple:
    prediction, reference = _answer(rng, row)
    if row % 3 == 0:
        reference["answers"] = {"text": [], "answer_start": []}
    return {**prediction, "no_answer_probability": rng.random()}, reference


def _texts(least: int, most: int) -> Callable:
    def row(rng: random.Random, row: int) -> tuple:
        text = words(rng, row, least, most)
        return " ".join([*text[:-1], *words(rng, row, 1, 2)]), " ".join([number(row), *text])

    return row


CASES = {
    "glue": Case("glue", _glue(None), _classes),
    "glue-mrpc": Case("glue", _glue("mrpc"), _classes),
    "glue-cola": Case("glue", _glue("cola"), _classes),
    "glue-stsb": Case("glue", _glue("stsb"), _numbers),
    "glue-regression": Case("glue", _glue("regression"), _numbers),
    "ner": Case("ner", _entities, _tags, {"by_type": True}),
    "squad": Case("qa", _squad, _answer),
    "squad-v2": Case("qa", _squad_v2, _answer_v2),
    "rouge": Case("summarization", _rouge, _texts(8, 8)),
    "word-errors": Case("speech", _word_errors, _texts(4, 8)),
}


def result_row(name: str) -> Callable[[random.Random, int], dict]:
    """Makes rows for `stages.tools.scale.rows.write_rows`."""

    def make(rng: random.Random, row: int) -> dict:
        prediction, reference = CASES[name].row(rng, row)
        return {"prediction": prediction, "reference": reference}

    return make


def read_column(path: str, column: str) -> Iterator:
    """A column of JSON lines, one row in memory."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)[column]


def main() -> None:
    """Print the figures."""
    name, path = sys.argv[1:]
    case = CASES[name]
    figures = case.make().compute(
        predictions=read_column(path, "prediction"),
        references=read_column(path, "reference"),
        **case.options,
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
