"""Word and character errors."""

import math

import pytest

from stages.tasks.speech.metric import WordErrors


@pytest.mark.parametrize(
    ("predictions", "references", "wer", "cer"),
    [
        # The same.
        (["a b c"], ["a b c"], 0, 0),
        # One substitution of three words; one of five characters.
        (["a x c"], ["a b c"], 1 / 3, 1 / 5),
        # A deletion: of the characters, `b` and a space.
        (["a c"], ["a b c"], 1 / 3, 2 / 5),
        # Insertions count, and may take the rate above 1.
        (["a b c d e"], ["a b"], 3 / 2, 6 / 3),
        # Nothing said.
        (["", "a"], ["a b c", "a"], 3 / 4, 5 / 6),
        # Totals over totals, not the mean of rates: (0 + 2) / (4 + 2), not 1/2.
        (["a b c d", "x y"], ["a b c d", "e f"], 2 / 6, 2 / 10),
    ],
)
def test_word_errors_by_hand(predictions, references, wer, cer):
    for name in ("basic", "english", "none"):
        found = WordErrors(name).compute(predictions=predictions, references=references)
        expected = {"wer": wer, "cer": cer, "wer_raw": wer, "cer_raw": cer}
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "wer"),
    [
        # Only `seven` and `7` differ then.
        ("basic", 1 / 4),
        ("english", 0),
        # Train, | leaves, | at | seven.
        ("none", 3 / 4),
    ],
)
def test_normalisation(name, wer):
    found = WordErrors(name).compute(
        predictions=["train leaves at 7"], references=["Train leaves, at seven"]
    )
    assert found["wer"] == wer
    assert found["wer_raw"] == 3 / 4
    assert WordErrors(name).info.config_name == name


def test_spelling():
    texts = {"predictions": ["my favourite"], "references": ["my favorite"]}
    assert WordErrors("english").compute(**texts)["wer"] == 1 / 2
    assert WordErrors("english", {"favourite": "favorite"}).compute(**texts)["wer"] == 0


def test_references_that_hold_nothing():
    found = WordErrors("basic").compute(predictions=["a", ""], references=["...", "?"])
    assert math.isnan(found["wer"])
    assert found["wer_raw"] == 1
    # Among others they count what was inserted.
    found = WordErrors("basic").compute(predictions=["a", "b"], references=["...", "b"])
    assert found["wer"] == 1
