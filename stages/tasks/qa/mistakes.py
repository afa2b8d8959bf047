"""The worst mistakes of a question answerer, for the report."""

from collections.abc import Iterator
from pathlib import Path

from stages.core.errors import InputError
from stages.tasks.mistakes import Mistake, read_entries, worst
from stages.tasks.qa.examples import read_examples
from stages.training.results import PREDICTIONS

NO_ANSWER = "no answer"


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Answers that share no word with a right one, the surest first."""
    return worst(_ranked(results, data))


def _ranked(results: Path, data: Path) -> Iterator[tuple[float, Mistake]]:
    examples = read_examples(str(next(data.glob("test.*"))), version_2_with_negative=True)
    predictions = read_entries(results / PREDICTIONS["eval"])
    best = read_entries(results / "eval_nbest_predictions.json")
    # All in the order of the questions.
    entries = zip(examples.ids, predictions, best, strict=True)
    for row, (name, (of_text, prediction), (of_best, candidates)) in enumerate(entries):
        if not name == of_text == of_best:
            raise InputError(f"{results}: predictions of other questions; run make repro")
        answers = examples.answers[row]
        right = {word for one in answers for word in one.lower().split()}
        if right & {*prediction.lower().split()} or not (prediction or answers):
            continue
        chances = (one["probability"] for one in candidates if one["text"] == prediction)
        probability = next(chances, 0.0)
        parts = [
            ("context", examples.contexts[row]),
            ("question", examples.questions[row]),
            ("answer", " / ".join(dict.fromkeys(answers)) or NO_ANSWER),
            ("prediction", prediction or NO_ANSWER),
        ]
        yield probability, Mistake(parts, f"probability {probability:.3f}")
