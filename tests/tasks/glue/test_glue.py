"""Classification: rows, labels, metrics by hand and the simple baselines."""

import json
import math

import numpy as np
import pytest
from support.paths import SAMPLES

from stages.core.errors import InputError
from stages.data.tables import Table
from stages.tasks.glue.baseline import baselines
from stages.tasks.glue.examples import encode_labels, read_examples
from stages.tasks.glue.labels import label_list
from stages.tasks.glue.metric import Glue, accuracy_by_group, positive_class

# Beyond what float64 tells apart.
LARGE = 1194328876543210497


@pytest.fixture
def write(tmp_path):
    def writer(content, name="a.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return writer


def test_usual_columns_in_any_order(write):
    path = write("label,sentence2,kind,sentence1\nyes,B b,swap,A a\n")
    rows = read_examples(path, group_column="kind")
    assert (rows.sentence1, rows.sentence2, rows.labels) == (["A a"], ["B b"], ["yes"])
    assert rows.groups == ["swap"]
    assert rows.where(0).endswith("a.csv, line 2")
    assert not rows.regression


def test_single_sentence(write):
    rows = read_examples(write("idx,sentence,label\n0,A a,1\n"))
    assert (rows.sentence1, rows.sentence2, rows.labels) == (["A a"], None, ["1"])


REVIEWS = "id,review,stars,country\n1,Good food,5,no\n2,Bad food,1,it\n"


def test_columns_that_are_given(write):
    path = write("id,first,second,class\n1,A,B,x\n")
    rows = read_examples(path, text_column="second", label_column="class")
    assert (rows.sentence1, rows.sentence2, rows.labels) == (["B"], None, ["x"])
    rows = read_examples(path, text_column="second", text_pair_column="first")
    assert (rows.sentence1, rows.sentence2, rows.labels) == (["B"], ["A"], ["x"])
    assert rows.columns == {"sentence1": "second", "sentence2": "first", "label": "class"}
    rows = read_examples(path, text_column="first", label_column="class", group_column="second")
    assert rows.columns == {"sentence1": "first", "label": "class", "group": "second"}


def test_the_only_columns_it_can_be(write):
    rows = read_examples(write("stars,review\n5,Good food\n1,Bad food\n"))
    assert rows.columns == {"sentence1": "review", "label": "stars"}
    assert rows.labels == ["5", "1"]
    # A column of numbers beside the text of a row to predict is no second sentence.
    rows = read_examples(write("stars,review\n5,Good food\n"), needs_labels=False)
    assert (rows.sentence1, rows.sentence2, rows.labels) == (["Good food"], None, None)
    rows = read_examples(write("sentence1,label,kind\nA,x,swap\n"))
    assert rows.columns == {"sentence1": "sentence1", "label": "label"}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (REVIEWS, {}, r"a.csv: which column is sentence1 and which label\? there are 'id', "
         r"'review', 'stars', 'country'; give --text_column_name and --label_column_name$"),
        (REVIEWS, {"text_column": "review"}, r"which column is label\?"),
        (REVIEWS, {"label_column": "stars"}, r"which column is sentence1\?"),
        (REVIEWS, {"needs_labels": False}, r"which column is sentence1\?"),
        ("first,second,label\nA,B,x\n", {}, r"which column is sentence1\?"),
        ("sentence,text,label\nA,B,x\n", {}, r"which column is sentence1\?"),
        ("premise,hypothesis,question1,question2,label\nA,B,C,D,x\n", {},
         r"which columns are the sentences\? .* --text_pair_column_name$"),
    ],
)  # fmt: skip
def test_columns_that_would_be_guessed(write, content, options, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(content), **options)


def test_limit(write):
    rows = read_examples(write("sentence,label\nA,x\nB,y\n"), limit=1)
    assert (len(rows), rows.sentence2, rows.labels) == (1, None, ["x"])
    assert rows.sentence1 == ["A"]


def test_task_columns(write):
    path = write("sentence,question,label\nS,Q,1\n")
    assert read_examples(path, task_name="qnli").sentence1 == ["Q"]
    assert read_examples(path, task_name="cola").sentence2 is None
    # Without a task's name, the columns of one.
    assert read_examples(path).columns == {
        "sentence1": "question",
        "sentence2": "sentence",
        "label": "label",
    }


@pytest.mark.parametrize(
    ("cells", "labels", "regression"),
    [
        (("0", "1"), ["0", "1"], False),
        (("0.0", "1.0"), ["0.0", "1.0"], False),
        (("007", "7"), ["007", "7"], False),
        (("+7", "7"), ["+7", "7"], False),
        (("2e1", "20"), ["2e1", "20"], False),
        (("7e400", "12"), ["7e400", "12"], False),
        (("7e400", "12.5"), ["7e400", "12.5"], False),
        (
            (str(LARGE), str(LARGE + 1)),
            [str(LARGE), str(LARGE + 1)],
            False,
        ),
        ((" x ", " x "), ["x", "x"], False),
        (("9" * 5000, "1"), ["9" * 5000, "1"], False),
        (("0.5", "1"), [0.5, 1.0], True),
        (("0.5", "x"), ["0.5", "x"], False),
        (("1_0", "1.5"), ["1_0", "1.5"], False),
    ],
)
def test_kind_of_label(write, cells, labels, regression):
    rows = read_examples(write("sentence,label\nA,{}\nB,{}\n".format(*cells)))
    assert list(rows.labels) == labels
    assert rows.regression is regression


def test_stsb_is_a_regression_even_of_whole_numbers(write):
    rows = read_examples(write("sentence1,sentence2,label\nA,B,4\nA,C,5\n"), task_name="stsb")
    assert rows.regression
    np.testing.assert_array_equal(encode_labels(rows, []), np.array([4, 5], np.float32))


def test_json_labels(write):
    text = "\n".join(json.dumps({"sentence": "A", "label": label}) for label in (1, 0, 10, 2.0))
    rows = read_examples(write(text, "a.json"))
    names = label_list(rows.labels)
    assert names == ["0", "1", "2", "10"]
    encoded = encode_labels(rows, names)
    assert encoded.tolist() == [1, 0, 3, 2]
    assert encoded.dtype == np.int32


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ("[2, 2.0, 10]", ["2", "2", "10"]),
        ("[7, \"007\"]", ["7", "007"]),
        (f"[{LARGE}, {LARGE + 1}]", [str(LARGE), str(LARGE + 1)]),
        ("[1" + "0" * 400 + ", 3]", ["1" + "0" * 400, "3"]),
        ("[-0.0, 1]", ["0", "1"]),
        ("[true, false]", ["True", "False"]),
        ("[\"2e1\", \"20\"]", ["2e1", "20"]),
    ],
)  # fmt: skip
def test_json_numbers_are_named_by_their_value(write, values, labels):
    rows = [f'{{"sentence": "A", "label": {value}}}' for value in values[1:-1].split(", ")]
    found = read_examples(write("\n".join(rows), "a.json"))
    assert (found.labels, found.regression) == (labels, False)
    names = label_list(found.labels)
    assert [names[place] for place in encode_labels(found, names)] == labels


def test_order_of_classes():
    assert label_list(["10", "9", "007", "7", "-1"]) == ["-1", "007", "7", "9", "10"]
    assert label_list(["10", "9", "x"]) == ["10", "9", "x"]
    assert label_list(["1_0", "9"]) == ["1_0", "9"]
    assert label_list(["9" * 5000, "1"]) == ["1", "9" * 5000]


@pytest.mark.parametrize(
    ("content", "name", "options", "message"),
    [
        ("sentence,label\nA,x\nB, x\n", "a.csv", {}, "the label ' x' differs from 'x' in"),
        (
            '{"sentence": "A", "label": 1e300}\n{"sentence": "A", "label": 1}',
            "a.json",
            {},
            r"line 1: the label 1e\+300 is too large for a float",
        ),
        ('{"sentence": "A", "label": 1e400}', "a.json", {}, "line 1: 'label' is inf; expected a"),
        ("sentence,label\nA,1e39\n", "a.csv", {"regression": True}, "'1e39'; expected a number"),
        ("sentence,label\nA,7e400\n", "a.csv", {"regression": True}, "'7e400'; expected a number"),
        ('{"sentence": "A", "label": 1' + "0" * 400 + "}", "a.json", {"task_name": "stsb"},
         "line 1: the label is 1000.*; expected a number"),
        ("sentence,label\nA,?\nB,\"\"\n", "a.csv", {}, "line 3: 'label' is empty"),
        ("sentence,label\nA,?\nB,?\n", "a.csv", {}, "every label in 'label' is '\\?', a s"),
    ],
)  # fmt: skip
def test_labels_refused(write, content, name, options, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(content, name), **options)


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (["-1", "-1"], False),
        (["", ""], False),
        (["?", "?"], False),
        (["x", ""], False),
        (["x", "?"], False),
        (["_", "_"], False),
        (["-1", "1"], True),
        (["-1", ""], False),
        (["x", "y"], True),
        ([None, None], False),
        ([[], []], False),
        ([[None], "x"], False),
        ([math.nan, 1], False),
        ([-1, -1.0], False),
        ([-1, 0, 1], True),
    ],
)
def test_rows_to_predict(write, labels, kept):
    text = "\n".join(json.dumps({"sentence": "A", "label": label}) for label in labels)
    found = read_examples(write(text, "a.json"), needs_labels=False)
    assert found.labels == (list(map(str, labels)) if kept else None)


def test_rows_to_predict_without_labels(write):
    assert read_examples(write("sentence\nA\n"), needs_labels=False).labels is None
    with pytest.raises(InputError, match="every label in 'label' is '-1', a sign for"):
        read_examples(write("sentence,label\nA,-1\n"))
    content = '{"sentence": "A", "label": "x"}\n{"sentence": "B"}\n'
    assert read_examples(write(content, "a.json"), needs_labels=False).labels is None


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("sentence,label\nA,1\n ,1\n", {}, "line 3: 'sentence' is empty"),
        ("sentence,label\nA,\n", {}, "line 2: 'label' is empty"),
        ("sentence1,sentence2\nA,B\n", {}, "no column is left for --label_column_name"),
        ("label\n1\n", {}, "no column is left for --text_column_name"),
        ("sentence,label\nA,1\n", {"label_column": "y"}, r"no column 'y' \(--label_column_name\)"),
        ("sentence,label\nA,1\n", {"text_column": "y"}, r"no column 'y' \(--text_column_name\)"),
        ("sentence,label\nA,1\n", {"group_column": "y"}, r"no column 'y' \(--group_column_name\)"),
        ("sentence,label\nA,x\n", {"regression": True}, "line 2: the label is 'x'; expected a n"),
    ],
)
def test_refused(write, content, options, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(content), **options)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence": None, "label": 1}, "line 1: 'sentence' is None; expected text"),
        ({"sentence": "A", "label": None}, "line 1: 'label' is None; expected a label"),
        ({"sentence": "A", "label": float("nan")}, "line 1: 'label' is nan; expected a label"),
        ({"sentence": "A", "label": [1]}, r"line 1: 'label' is \[1\]; expected a label"),
    ],
)
def test_json_refused(write, row, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(json.dumps(row), "a.jsonl"))


def test_unknown_label(write):
    rows = read_examples(write("sentence,label\nA,yes\nB,maybe\n"))
    with pytest.raises(InputError, match=r"line 3: the label 'maybe' is none of .*: no, yes"):
        encode_labels(rows, ["no", "yes"])


def test_metrics_by_hand():
    predictions, references = [1, 1, 0, 0, 1], [1, 0, 0, 1, 1]
    assert Glue().compute(predictions=predictions, references=references) == {"accuracy": 0.6}
    # Class 1: two hits of three given and three wanted. Class 0: one of two and two.
    scores = Glue("mrpc").compute(predictions=predictions, references=references)
    assert scores == {"accuracy": 0.6, "f1": pytest.approx(2 / 3)}
    scores = Glue("qqp").compute(predictions=predictions, references=references, positive=0)
    assert scores == {"accuracy": 0.6, "f1": pytest.approx(1 / 2)}
    # (TP x TN - FP x FN) / sqrt of the four sums: (2 x 1 - 1 x 1) / sqrt(3 x 3 x 2 x 2).
    scores = Glue("cola").compute(predictions=predictions, references=references)
    assert scores == {"matthews_correlation": pytest.approx(1 / 6)}


def test_regression_metrics_by_hand():
    predictions, references = [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]
    assert Glue("regression").compute(predictions=predictions, references=references) == {
        "mse": pytest.approx(5 / 3)
    }
    # Deviations (-4, -1, 5)/3 and (-1, 1, 0): covariance 1, squares 14/3 and 2. Ranks 1 2 3, 1 3 2.
    assert Glue("stsb").compute(predictions=predictions, references=references) == {
        "pearson": pytest.approx(1 / np.sqrt(28 / 3), abs=1e-6),
        "spearmanr": pytest.approx(0.5),
    }


def test_metric_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    metric = Glue()
    metric.compute(predictions=[1], references=[1])
    assert list(tmp_path.iterdir()) == []
    # The same object serves every evaluation of a run.
    assert metric.compute(predictions=[0], references=[1]) == {"accuracy": 0.0}


def test_accuracy_by_group():
    scores = accuracy_by_group([1, 0, 1], [1, 1, 1], ["role swap", "same", "same"])
    assert scores == {"accuracy_role_swap": 1.0, "accuracy_same": 0.5}


def test_positive_class():
    assert positive_class(["equivalent", "not_equivalent"]) == 0
    assert positive_class(["0", "1"]) == 1
    assert positive_class(["no", "yes"]) == 1


def _table(rows):
    columns = ["sentence1", "sentence2", "label"]
    return Table("t", columns, [dict(zip(columns, row, strict=True)) for row in rows])


def test_baselines():
    # Pairs are the same when they share words; one class is more frequent.
    words = ["red", "blue", "green", "old", "new", "tall"]
    pairs = [(a, b, str(int(a == b))) for a in words for b in words]
    train = read_examples(_table(pairs + [pair for pair in pairs if pair[2] == "1"] * 3))
    held_out = read_examples(_table(pairs))
    scores = baselines(train, held_out, ["0", "1"])
    assert scores["majority"] == {"accuracy": pytest.approx(30 / 36)}
    assert scores["bag_of_words"] == {"accuracy": 1.0}
    assert baselines(train, held_out, ["0", "1"], "mrpc", 1)["majority"]["f1"] == 0.0


def test_baselines_of_a_regression_and_of_one_class():
    rows = read_examples(
        Table(
            "t",
            ["sentence", "label"],
            [
                {"sentence": w, "label": n}
                for w, n in (("low", 0.5), ("low", 0.5), ("high", 3.5), ("high", 3.5))
            ],
        )
    )
    scores = baselines(rows, rows, [])
    assert scores["majority"] == {"mse": pytest.approx(2.25)}
    assert scores["bag_of_words"]["mse"] < 1
    same = read_examples(_table([("a", "b", "x"), ("c", "d", "x")]))
    assert baselines(same, same, ["x"])["bag_of_words"] == {"accuracy": 1.0}


@pytest.mark.skipif(not SAMPLES.exists(), reason="no real data: FLAXMILL_TEST_DATA names no folder")
def test_sample_file():
    rows = read_examples(SAMPLES / "MRPC" / "train.csv")
    assert len(rows) == 6
    assert label_list(rows.labels) == ["equivalent", "not_equivalent"]
    assert rows.sentence1[0].startswith("He said the foodservice pie business")
    assert rows.sentence2[0].startswith('" The foodservice pie business')
