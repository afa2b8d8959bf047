"""SQuAD's metrics by hand, and the best threshold."""

import pytest

from stages.tasks.qa.metric import Squad, SquadV2, best_threshold, f1_score, normalise


def test_normalise_and_f1():
    assert normalise("The  Cat, an A-b c.") == "cat ab c"
    assert normalise("Theatre a") == "theatre"
    assert f1_score("the cat sat", "cat sat down") == pytest.approx(0.8)
    assert f1_score("a a b b", "b") == pytest.approx(2 / 3)
    assert f1_score("dog", "cat") == 0.0
    assert f1_score("the", "!") == 1.0
    assert f1_score("the", "!", empty_matches=False) == 0.0
    assert f1_score("cat", "the") == 0.0


def _pair(name, text, golds, null=0.0):
    prediction = {"id": name, "prediction_text": text, "no_answer_probability": null}
    return prediction, {"id": name, "answers": {"text": golds, "answer_start": [0] * len(golds)}}


def test_squad_by_hand():
    pairs = [
        _pair("1", "The Cat.", ["dog", "cat"]),
        _pair("2", "red cat", ["cat", "green cat house"]),
        _pair("3", "", ["cat"]),
    ]
    predictions, references = zip(*pairs, strict=True)
    for prediction in predictions:
        del prediction["no_answer_probability"]
    scores = Squad().compute(predictions=list(predictions), references=list(references))
    # F1 of the second: with `cat` precision 1/2 and recall 1.
    third = pytest.approx(100 / 3)
    assert scores == {"exact": third, "exact_match": third, "f1": pytest.approx(100 * (5 / 3) / 3)}


def test_squad_v2_by_hand():
    pairs = [
        _pair("1", "the cat", ["cat"], 0.1),
        _pair("2", "red cat", ["cat"], 0.2),
        _pair("3", "dog", [], 0.4),
        _pair("4", "", [], 0.3),
        _pair("5", "bird", ["bird"], 0.9),
    ]
    predictions, references = map(list, zip(*pairs, strict=True))
    metric = SquadV2()
    scores = metric.compute(predictions=predictions, references=references)
    assert scores == {
        "exact": pytest.approx(60.0),
        "f1": pytest.approx(100 * (1 + 2 / 3 + 0 + 1 + 1) / 5),
        "total": 5,
        "HasAns_exact": pytest.approx(200 / 3),
        "HasAns_f1": pytest.approx(100 * (1 + 2 / 3 + 1) / 3),
        "HasAns_total": 3,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
        # From silence (2 right): +1 at .1, +0 or +2/3 at .2, +0 at .3, -1 at .4, +1 at .9.
        "best_exact": 60.0,
        "best_exact_thresh": 0.1,
        "best_f1": pytest.approx(100 * (2 + 5 / 3) / 5),
        "best_f1_thresh": 0.2,
    }
    strict = metric.compute(
        predictions=predictions, references=references, no_answer_threshold=0.35
    )
    assert strict["NoAns_exact"] == 100.0
    assert strict["HasAns_exact"] == pytest.approx(100 / 3)


def test_squad_v2_of_one_kind_and_of_empty_golds():
    prediction, reference = _pair("1", "", ["the"])
    scores = SquadV2().compute(predictions=[prediction], references=[reference])
    assert scores["HasAns_exact"] == 100.0
    assert "NoAns_exact" not in scores


def test_best_threshold_below_negative_odds():
    # Every text is wrong: the best is silence, below the lowest number and not at 0.
    best, threshold = best_threshold([0, 0], [False, True], [-3.0, -1.0], [True, True], [0, 1])
    assert best == 50.0
    assert threshold < -3.0
    assert threshold == pytest.approx(-3.0)
