"""Metrics on random predictions, beside the official implementation of each.

SQuAD v2 has none that is packaged: its published rules stand here once more, as plainly as can be.

The cases of each task's own tests are worked out by hand; here many rows are drawn, with all that
makes such figures differ: ties, classes that never occur, broken tag sequences, empty texts.
"""

import string

import jiwer
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import BootstrapAggregator
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import accuracy_score as tag_accuracy
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_squared_error

from stages.tasks.glue.metric import Glue
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.qa.metric import SquadV2
from stages.tasks.speech.metric import WordErrors
from stages.tasks.summarization.metric import Rouge

SEEDS = range(5)
WORDS = [
    "The", "a", "port", "of", "Kel", "was", "sold", "-", "sold.", "12%", "an", "it's", "Running"
]  # fmt: skip


def texts(rng, count, least=1, most=12):
    """Random sentences of few words, so that many agree."""
    return [" ".join(rng.choice(WORDS, rng.integers(least, most + 1))) for _ in range(count)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", ["cola", "mrpc", "qqp", "mnli", None])
def test_classes(task, seed):
    rng = np.random.default_rng(seed)
    classes = 3 if task == "mnli" else 2
    wanted, found = rng.integers(0, classes, (2, 60))
    expected = {"accuracy": accuracy_score(wanted, found)}
    if task == "cola":
        expected = {"matthews_correlation": matthews_corrcoef(wanted, found)}
    if task in ("mrpc", "qqp"):
        expected["f1"] = f1_score(wanted, found)
    assert Glue(task).compute(predictions=found, references=wanted) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers(seed):
    rng = np.random.default_rng(seed)
    # Rounded, so that ranks are shared.
    wanted, found = rng.normal(size=(2, 60)).round(1).astype(np.float32)
    assert Glue("stsb").compute(predictions=found, references=wanted) == pytest.approx(
        {"pearson": pearsonr(found, wanted)[0], "spearmanr": spearmanr(found, wanted)[0]}
    )
    squared = Glue("regression").compute(predictions=found, references=wanted)
    assert squared == pytest.approx({"mse": mean_squared_error(wanted, found)})


@pytest.mark.parametrize("seed", SEEDS)
def test_entities(seed):
    rng = np.random.default_rng(seed)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG"]
    lengths = rng.integers(1, 12, 40)
    wanted, found = ([rng.choice(tags, n).tolist() for n in lengths] for _ in range(2))
    assert NamedEntities().compute(predictions=found, references=wanted) == pytest.approx(
        {
            "precision": precision_score(wanted, found),
            "recall": recall_score(wanted, found),
            "f1": entity_f1(wanted, found),
            "accuracy": tag_accuracy(wanted, found),
        }
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_word_errors(seed):
    rng = np.random.default_rng(seed)
    wanted, found = texts(rng, 40), texts(rng, 40, least=0)
    assert WordErrors("none").compute(predictions=found, references=wanted) == pytest.approx(
        {
            "wer": jiwer.wer(wanted, found),
            "cer": jiwer.cer(wanted, found),
            "wer_raw": jiwer.wer(wanted, found),
            "cer_raw": jiwer.cer(wanted, found),
        }
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_rouge(seed):
    """The package's own aggregation resamples; the mean of its samples is within their spread."""
    rng = np.random.default_rng(seed)
    wanted, found = (["\n".join(texts(rng, 3)) for _ in range(40)] for _ in range(2))
    types = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer, aggregator = RougeScorer(types, use_stemmer=True), BootstrapAggregator()
    for reference, prediction in zip(wanted, found, strict=True):
        aggregator.add_scores(scorer.score(reference, prediction))
    np.random.seed(seed)  # noqa: NPY002 (the package draws from the global generator)
    official = aggregator.aggregate()
    scores = Rouge("lines").compute(predictions=found, references=wanted)
    for name in types:
        low, middle, high = (
            100 * getattr(official[name], it).fmeasure for it in ("low", "mid", "high")
        )
        assert low < scores[name] < high
        assert scores[name] == pytest.approx(middle, abs=0.02 * middle)


def plain(text):
    """Rule by rule: lower case, no punctuation, no articles, single blanks."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def overlap(one, other):
    """F1 of the words of two answers; without words they agree only if neither has any."""
    if not one or not other:
        return float(one == other)
    left, common = list(other), 0
    for word in one:
        if word in left:
            left.remove(word)
            common += 1
    return 2 * common / (len(one) + len(other))


def squad_v2(golds, found, nulls, threshold):
    """Exact match and F1 in percent, by kind of question, and at the best threshold."""

    def total(limit, score, names):
        points = 0.0
        for name in names:
            answers = [plain(gold) for gold in golds[name] if plain(gold)] or [[]]
            if nulls[name] > limit:
                points += not golds[name]
            else:
                points += max(score(plain(found[name]), answer) for answer in answers)
        return points

    scores = {"exact": lambda one, other: float(one == other), "f1": overlap}
    kinds = {
        "": list(golds),
        "HasAns_": [name for name in golds if golds[name]],
        "NoAns_": [name for name in golds if not golds[name]],
    }
    result = {}
    for kind, names in kinds.items():
        result[f"{kind}total"] = len(names)
        for name, score in scores.items():
            result[kind + name] = 100 * total(threshold, score, names) / len(names)
    for name, score in scores.items():
        reached = {limit: total(limit, score, golds) for limit in (0.0, *sorted(nulls.values()))}
        best = max(reached.values())
        result[f"best_{name}"] = 100 * best / len(golds)
        result[f"best_{name}_thresh"] = next(k for k, it in reached.items() if it == best)
    return result


@pytest.mark.parametrize("threshold", [0.3, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_answers(seed, threshold):
    rng = np.random.default_rng(seed)
    golds = {
        f"q{n}": texts(rng, rng.integers(1, 4), most=3) if rng.random() < 0.6 else []
        for n in range(80)
    }
    # An answer of nothing but articles: none to the score, one to the search for a threshold.
    found = {name: texts(rng, 1, least=0, most=3)[0] for name in golds}
    found = {name: text if plain(text) else "" for name, text in found.items()}
    nulls = {name: float(rng.random()) for name in golds}
    scores = SquadV2().compute(
        predictions=[
            {"id": name, "prediction_text": text, "no_answer_probability": nulls[name]}
            for name, text in found.items()
        ],
        references=[
            {"id": name, "answers": {"text": answers, "answer_start": [0] * len(answers)}}
            for name, answers in golds.items()
        ],
        no_answer_threshold=threshold,
    )
    assert scores == pytest.approx(squad_v2(golds, found, nulls, threshold))
