"""The labels of a classifier: their order, and how many there must be."""

import json

import pytest
from support import scripts

from stages.core.errors import InputError
from stages.tasks.encoders import match_labels, training_labels
from stages.tasks.label_arguments import LabelArguments


def test_the_pretrained_order_where_the_labels_are_the_same():
    assert match_labels(["b", "a"], ["a", "b"], "a.csv") == ["b", "a"]
    assert match_labels(["b", "a"], ["a", "c"], "a.csv") == ["a", "c"]
    assert match_labels(None, ["a", "c"], "a.csv") == ["a", "c"]


@pytest.mark.parametrize("pretrained", [None, ["a"], ["a", "b"]])
def test_one_class_is_refused_by_name(pretrained):
    with pytest.raises(InputError, match=r"a\.csv: 'a' is the only label of the rows"):
        match_labels(pretrained, ["a"], "a.csv")


HEADER = "sentence1,label\n"
CASES = {
    "one class": ("glue", HEADER + "a,spam\nb,spam\n", [], "'spam' is the only label"),
    "one number": ("glue", HEADER + "a,1\nb,1\n", [], "'1' is the only label"),
    "the first rows": (
        "glue", HEADER + "a,spam\nb,spam\nc,ham\n", ["--max_train_samples=2"],
        "'spam' is the only label",
    ),
    "nothing but O": (
        "ner", '{"tokens": ["a", "b"], "ner_tags": ["O", "O"]}\n', [], "'O' is the only tag",
    ),
    "one entity everywhere": (
        "ner", '{"tokens": ["a"], "ner_tags": ["B-PER"]}\n' * 3, [], "'B-PER' is the only tag",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_training_on_one_class_stops_before_it_writes(name, checkpoint, tmp_path):
    task, content, flags, said = CASES[name]
    path = tmp_path / ("a.csv" if task == "glue" else "a.json")
    path.write_text(content)
    line = scripts.refused(
        scripts.SCRIPTS[task], "--do_train", f"--model_name_or_path={checkpoint()}",
        f"--train_file={path}", f"--output_dir={tmp_path / 'out'}", *flags,
    )  # fmt: skip
    assert f"{path}: {said}" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("labels", "kind"), [
    (["spam", "ham"], "single_label_classification"),
    pytest.param(["0.5", "1.25"], "regression", marks=pytest.mark.slow(seconds=9)),
])  # fmt: skip
def test_a_training_writes_what_a_later_evaluation_reads(labels, kind, checkpoint, tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out"
    path.write_text(HEADER + "".join(f"a {label},{label}\n" for label in labels * 2))
    flags = [f"--validation_file={path}", *scripts.TRAINING]
    scripts.call(
        scripts.SCRIPTS["glue"], "--do_train", f"--model_name_or_path={checkpoint()}",
        f"--train_file={path}", f"--output_dir={out}", *flags,
    )  # fmt: skip
    assert json.loads((out / "config.json").read_text())["problem_type"] == kind
    scripts.call(
        scripts.SCRIPTS["glue"], "--do_eval", f"--model_name_or_path={out}",
        f"--output_dir={tmp_path / 'results'}", *flags,
    )  # fmt: skip
    metric = "eval_mse" if kind == "regression" else "eval_accuracy"
    assert metric in scripts.results(tmp_path / "results")


@pytest.mark.parametrize(
    ("flags", "pretrained", "classes", "labels"),
    [
        ({}, ["b", "a"], None, ["a", "b"]),
        ({"label_names": "c, a,b"}, ["b", "a"], None, ["c", "a", "b"]),
        # The first rows of a stream may lack some.
        ({"streaming": True}, ["c", "b", "a"], ["z"], ["c", "b", "a"]),
        ({"streaming": True}, ["a"], ["a", "b", "c"], ["a", "b", "c"]),
        ({"streaming": True}, None, None, ["a", "b"]),
        ({"streaming": True, "label_names": "c,a"}, ["a", "b"], ["z"], ["c", "a"]),
    ],
)
def test_the_labels_to_train_on(flags, pretrained, classes, labels):
    steps = {"max_steps": 1} if "streaming" in flags else {}
    args = LabelArguments(
        model_name_or_path="m", train_file="t", output_dir="o", do_train=True, **flags, **steps
    )
    assert training_labels(args, pretrained, classes, ["a", "b"]) == labels
