"""Summaries scored by hand: ROUGE with and without sentences, names, the simple baselines."""

import json

import numpy as np
import pytest

from stages.data.tables import Table
from stages.tasks.summarization.baseline import baselines, measure
from stages.tasks.summarization.examples import read_examples
from stages.tasks.summarization.metric import Rouge, names, names_right, sentences

# Figures worked out by hand: (prediction, reference, rouge1, rouge2, rougeL, rougeLsum).
ROUGE = {
    # Common: the, cat, on, mat of 6 and 6 words; `the cat` of 5 and 5 pairs; in order all four.
    "one sentence": ("The cat lay on a mat.", "The cat sat on the mat.",
                     4 / 6, 1 / 5, 4 / 6, 4 / 6),
    # 2 of 2 predicted and of 6 wanted words: 2 * 1 * 1/3 / (4/3); pairs 1 of 1 and of 5.
    "short": ("the cat", "the cat sat on the mat", 1 / 2, 1 / 3, 1 / 2, 1 / 2),
    # Words above three letters lose their endings: runn-ing, cat-s; pairs the same.
    "stemmed": ("cats running", "cat runs", 1.0, 1.0, 1.0, 1.0),
    # All four words, pairs w1 w2 and w3 w4 of three each; in order only two of four, but each
    # sentence whole.
    "swapped": ("w3 w4. w1 w2.", "w1 w2. w3 w4.", 1.0, 2 / 3, 1 / 2, 1.0),
    # The example of Lin 2004, section 3.2, with the candidate's sentences exchanged: w1 w3 w5 of
    # the one and w1 w2 of the other meet 4 of 5 words by 10, as the words alone do. In one line
    # the longest subsequence is w1 w3 w5, 3 of 5 and of 10. Pairs: w1 w2 of 4 and of 9.
    "union": ("w1 w3 w8 w9 w5. w1 w2 w6 w7 w8.", "w1 w2 w3 w4 w5.",
              8 / 15, 2 / 13, 6 / 15, 8 / 15),
    # Each word counts as often as the prediction has it: one of two.
    "no double count": ("the", "the the", 2 / 3, 0.0, 2 / 3, 2 / 3),
    "nothing": ("", "the cat", 0.0, 0.0, 0.0, 0.0),
    "another script": ("猫", "猫", 0.0, 0.0, 0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUGE)
def test_rouge(name):
    prediction, reference, *expected = ROUGE[name]
    found = Rouge().compute(predictions=[prediction], references=[reference])
    np.testing.assert_allclose(list(found.values()), np.array(expected) * 100, atol=1e-12)
    assert list(found) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # One line is one sentence, whatever its full stops: 2 of 4 in order.
        ("w3 w4. w1 w2.", "w1 w2. w3 w4.", 50.0),
        ("w3 w4.\nw1 w2.", "w1 w2.\nw3 w4.", 100.0),
    ],
)
def test_rouge_of_lines(prediction, reference, expected):
    found = Rouge("lines").compute(predictions=[prediction], references=[reference])
    assert found["rougeL"] == pytest.approx(50.0)
    assert found["rougeLsum"] == pytest.approx(expected)


def test_rouge_is_the_mean_of_the_rows():
    found = Rouge().compute(predictions=["a b", "c"], references=["a b", "d"])
    assert found == {"rouge1": 50.0, "rouge2": 50.0, "rougeL": 50.0, "rougeLsum": 50.0}


def test_the_splitter_is_named():
    assert "PunktSentenceTokenizer" in Rouge().info.description
    assert "without any training" in Rouge().info.description
    assert Rouge().info.config_name == "punkt"
    assert "sentences are the lines" in Rouge("lines").info.description
    assert sentences("It cost 3.5 million. Really? J. Smith said so.") == [
        "It cost 3.5 million.", "Really?", "J. Smith said so.",
    ]  # fmt: skip


DOCUMENT = (
    "Ann Bell met Bo in New York. The mayor was Bo Ray. They met the mayor. A Bell-Orr came. "
    "Ida Moe is well. Kim left."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # `The` is there in lower case; Rome is not there.
        ("The mayor Bo meets Ann Bell of Rome", {"Bo", "Ann Bell"}),
        ("Ann  Bell, Bo", {"Ann Bell", "Bo"}),
        # `They` and `Kim` only begin sentences, `Ida` does before another such word.
        ("They heard that Kim met Ida Moe", {"Ida Moe"}),
        ("Bell-Orr", {"Bell Orr"}),
        # Words of the document, but nowhere in it side by side.
        ("Ann Bo", set()),
        ("A bridge for nobody", set()),
    ],
)
def test_names(text, expected):
    assert names(text, DOCUMENT) == expected


def test_names_right():
    references = ["Ann Bell meets Bo", "In New York", "a bridge"]
    documents = [DOCUMENT] * 3
    # Half of a name is no name: Bo and New York of three.
    predictions = ["Ann and Bo", "New York, Bo", "Bo"]
    assert names_right(predictions, references, documents) == pytest.approx(2 / 3)
    assert names_right(references, references, documents) == 1.0
    assert names_right(["Bo"], ["a bridge"], [DOCUMENT]) is None


def examples(*rows):
    columns = ["document", "summary"]
    return read_examples(
        Table("rows", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    )


def test_baselines(tmp_path):
    train = examples(("D", "a b c"), ("D", "a b c d e"))
    held_out = examples(("Ann Bell met Bo. He left.", "Bo met Ann Bell"))
    found = baselines(train, held_out)
    # `Ann Bell met Bo.`: all words; pairs `Ann Bell` of 3 and 3; in order two of four.
    assert found["lead"]["rouge1"] == pytest.approx(100)
    assert found["lead"]["rouge2"] == pytest.approx(100 / 3)
    assert found["lead"]["rougeL"] == pytest.approx(50)
    assert found["lead"]["names_right"] == 1.0
    # A training summary has four words.
    assert found["lead_words"] == found["lead"]
    for split in ("train", "test"):
        (tmp_path / f"{split}.json").write_text(
            json.dumps({"document": "D", "summary": "S"}) + "\n"
        )
    assert measure(tmp_path)["lead"]["rouge1"] == 0
