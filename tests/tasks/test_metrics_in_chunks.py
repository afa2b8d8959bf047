"""Each metric gives the same figures, to the last bit, however its rows come."""

import itertools

import numpy as np
import pytest

from stages.tasks import local_metric
from stages.tasks.glue.metric import Glue, accuracy_by_group
from stages.tasks.local_metric import in_step
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.qa.metric import Squad, SquadV2
from stages.tasks.speech.metric import WordErrors
from stages.tasks.summarization.metric import Rouge, names_right, summary_metrics

ROWS = 24
WORDS = ["The", "a", "port", "of", "Kel", "was", "sold.", "Ann", "Running", "12%"]
TAGS = ["O", "B-PER", "I-PER", "E-PER", "S-LOC", "I-LOC"]


def texts(rng, least=0):
    return [" ".join(rng.choice(WORDS, rng.integers(least, 7))) for _ in range(ROWS)]


def classes(rng):
    return tuple(rng.integers(0, 2, (2, ROWS)).tolist())


def numbers(rng):
    return tuple(rng.normal(size=(2, ROWS)).round(1).tolist())


def tags(rng):
    lengths = rng.integers(1, 6, ROWS)
    return tuple([rng.choice(TAGS, length).tolist() for length in lengths] for _ in range(2))


def answers(rng):
    predictions = [{"id": f"q{n}", "prediction_text": text} for n, text in enumerate(texts(rng))]
    golds = [{"text": [text], "answer_start": [0]} for text in texts(rng, least=1)]
    return predictions, [{"id": f"q{n}", "answers": gold} for n, gold in enumerate(golds)]


def answers_or_none(rng):
    predictions, references = answers(rng)
    for entry, reference in zip(predictions, references, strict=True):
        entry["no_answer_probability"] = round(float(rng.normal()), 1)
        if rng.random() < 0.4:
            reference["answers"] = {"text": [], "answer_start": []}
    return predictions, references


CASES = {
    **{f"glue {task}": (lambda task=task: Glue(task), classes, {})
       for task in (None, "cola")},
    "glue qqp": (lambda: Glue("qqp"), classes, {"positive": 0}),
    **{f"glue {task}": (lambda task=task: Glue(task), numbers, {})
       for task in ("stsb", "regression")},
    "ner": (NamedEntities, tags, {"by_type": True}),
    "squad": (Squad, answers, {}),
    "squad v2": (SquadV2, answers_or_none, {"no_answer_threshold": 0.3}),
    "speech": (lambda: WordErrors("basic"), lambda rng: (texts(rng), texts(rng)), {}),
    "rouge": (Rouge, lambda rng: (texts(rng), texts(rng)), {}),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    """Metric, predictions, references, options, and the figures of all rows at once."""
    make, draw, options = CASES[request.param]
    predictions, references = draw(np.random.default_rng(0))
    expected = make().compute(predictions=predictions, references=references, **options)
    monkeypatch.setattr(local_metric, "CHUNK", 7)
    return make(), predictions, references, options, expected


class Column:
    """What can only be gone through, as a column that is read from disk."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)


@pytest.mark.parametrize("form", [tuple, Column, iter])
def test_rows_in_any_form(case, form):
    metric, predictions, references, options, expected = case
    for _ in range(2):  # the second time begins anew
        found = metric.compute(
            predictions=form(predictions), references=form(references), **options
        )
        assert found == expected
        assert list(found) == list(expected)


def test_numpy_arrays(monkeypatch):
    monkeypatch.setattr(local_metric, "CHUNK", 7)
    found, wanted = np.random.default_rng(0).integers(0, 2, (2, ROWS))
    assert Glue().compute(predictions=found, references=wanted.astype(np.int32)) == {
        "accuracy": (found == wanted).mean()
    }


@pytest.mark.parametrize("size", [3, 20])
def test_batches_that_are_added(case, size):
    metric, predictions, references, options, expected = case
    for begin in range(0, ROWS, size):
        part = slice(begin, begin + size)
        metric.add_batch(predictions=iter(predictions[part]), references=references[part])
    assert len(metric) < 7  # what has been counted is not held
    assert metric.compute(**options) == expected


def test_rows_that_are_added_one_by_one(case):
    metric, predictions, references, options, expected = case
    for prediction, reference in zip(predictions, references, strict=True):
        metric.add(prediction=prediction, reference=reference)
    assert metric.compute(**options) == expected


@pytest.mark.parametrize("form", [list, iter])
@pytest.mark.parametrize(("first", "second"), [(13, 14), (14, 7), (0, 1)])
def test_columns_of_different_lengths(case, form, first, second):
    metric, predictions, references, options, expected = case
    said = r"^Mismatch in the number of predictions \(.*\d+\) and references \(.*\d+\)$"
    with pytest.raises(ValueError, match=said) as caught:
        metric.compute(predictions=form(predictions[:first]), references=form(references[:second]))
    if form is list:
        assert f"({first}) and references ({second})" in str(caught.value)
    # Nothing of them is left.
    found = metric.compute(predictions=predictions, references=references, **options)
    assert found == expected


@pytest.mark.parametrize("place", [0, 14])  # `evaluate` looks at the first text of a batch
def test_a_row_of_another_type(case, place):
    metric, predictions, references, options, expected = case
    broken = [*predictions]
    broken[place] = {"other": [{}]}
    with pytest.raises((ValueError, TypeError, KeyError)):
        metric.compute(predictions=iter(broken), references=iter(references))
    assert metric.compute(predictions=predictions, references=references, **options) == expected


def test_a_column_that_is_missing(case):
    metric, predictions, *_ = case
    with pytest.raises(ValueError, match="the references are None; expected one a row"):
        metric.compute(predictions=predictions)


def test_the_shorter_of_two_iterators_is_named():
    with pytest.raises(ValueError, match=r"predictions \(3\) and references \(at least 2048\)"):
        list(in_step(predictions=iter("abc"), references=itertools.repeat("a")))


@pytest.mark.parametrize(("metric", "draw"), [(Squad, answers), (SquadV2, answers_or_none)])
def test_answers_in_another_order(metric, draw):
    predictions, references = draw(np.random.default_rng(0))
    with pytest.raises(ValueError, match="a prediction for 'q23' in the place of one for 'q0'"):
        metric().compute(predictions=predictions[::-1], references=references)


def test_a_sentence_with_a_tag_too_few():
    with pytest.raises(ValueError, match="sentence 1: 1 predicted tags for 2 words"):
        NamedEntities().compute(predictions=[["O"], ["O"]], references=[["O"], ["O", "O"]])


def test_groups_and_documents_from_iterators(monkeypatch):
    rng = np.random.default_rng(0)
    found, wanted = classes(rng)
    groups = rng.choice(["a b", "c"], ROWS).tolist()
    assert accuracy_by_group(found, wanted, groups) == {
        f"accuracy_{name.replace(' ', '_')}": np.mean(
            [
                one == other
                for one, other, it in zip(found, wanted, groups, strict=True)
                if it == name
            ]
        )
        for name in ("a b", "c")
    }
    assert accuracy_by_group(*map(iter, (found, wanted, groups))) == accuracy_by_group(
        found, wanted, groups
    )
    with pytest.raises(ValueError, match="shorter"):
        accuracy_by_group(found, wanted, groups[1:])
    columns = [texts(rng), texts(rng), [f"It was in {text}. Then Ann came." for text in texts(rng)]]
    expected = summary_metrics(*columns)
    assert expected["names_right"] == names_right(*columns)
    monkeypatch.setattr(local_metric, "CHUNK", 7)
    assert summary_metrics(*map(iter, columns)) == expected
    with pytest.raises(ValueError, match="documents"):
        summary_metrics(*columns[:2], columns[2][1:])
