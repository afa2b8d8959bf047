"""The worst mistakes of a question answerer, for the report."""

import json
from pathlib import Path

from stages.tasks.mistakes import Mistake, worst
from stages.tasks.qa.examples import read_examples
from stages.training.results import PREDICTIONS

NO_ANSWER = "no answer"


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Answers that share no word with a right one, the surest first."""
    examples = read_examples(str(next(data.glob("test.*"))), version_2_with_negative=True)
    best = json.loads((results / "eval_nbest_predictions.json").read_text(encoding="utf-8"))
    predictions = json.loads((results / PREDICTIONS["eval"]).read_text(encoding="utf-8"))
    ranked = []
    for row, name in enumerate(examples.ids):
        answers, prediction = examples.answers[row], predictions[name]
        right = {word for one in answers for word in one.lower().split()}
        if right & {*prediction.lower().split()} or not (prediction or answers):
            continue
        chances = (one["probability"] for one in best[name] if one["text"] == prediction)
        probability = next(chances, 0.0)
        parts = [
            ("context", examples.contexts[row]),
            ("question", examples.questions[row]),
            ("answer", " / ".join(dict.fromkeys(answers)) or NO_ANSWER),
            ("prediction", prediction or NO_ANSWER),
        ]
        ranked.append((probability, Mistake(parts, f"probability {probability:.3f}")))
    return worst(ranked)
