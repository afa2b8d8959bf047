"""The table that ends a run: models beside what simple methods reach."""

import json
from fnmatch import fnmatchcase

import numpy as np
import pytest
import yaml
from support.paths import ROOT

from stages.core.errors import InputError
from stages.core.metric_names import is_count, without_split
from stages.pipeline.simple_methods import find_baselines, judged_metrics, read_baselines
from stages.pipeline.summary import RAN, Outcome, summary
from stages.tasks.glue.columns import TASK_COLUMNS
from stages.tasks.glue.metric import REGRESSION, Glue
from stages.tasks.qa.metric import Squad
from stages.tasks.registry import TASKS, Task

PARAMS = {
    "tasks": {"glue": {}, "reviews": {"task": "glue"}, "summarization": {}, "ninth": {}},
    "gates": {"glue": {"eval_accuracy": {"min": 0.8}, "eval_loss": {"max": 1}}},
}
SIMPLE = {"bag_of_words_accuracy": 0.85, "majority_accuracy": 0.5, "majority_loss": 0.7}


def found(params=PARAMS, **metrics):
    return find_baselines(params, {name.replace("__", "/"): one for name, one in metrics.items()})


def test_a_model_is_judged_by_its_gates_else_by_its_main_metric():
    names = {task: [*judged_metrics(PARAMS, task)] for task in PARAMS["tasks"]}
    assert names == {
        "glue": ["eval_accuracy", "eval_loss"],
        "reviews": ["eval_accuracy"],
        "summarization": ["test_rouge1"],
        "ninth": [],
    }


@pytest.mark.parametrize(
    ("figures", "lines"),
    [
        ({"eval_accuracy": 0.9, "eval_loss": 0.6}, []),
        ({"eval_accuracy": 0.85, "eval_loss": 0.6}, ["glue: eval_accuracy 0.85"]),
        ({"eval_accuracy": 0.3, "eval_loss": 0.8}, ["glue: eval_accuracy 0.3", "glue: eval_loss"]),
        ({"eval_accuracy": None}, []),
    ],
)
def test_a_model_that_is_no_better_is_named(figures, lines):
    best, said = found(glue=figures, baselines__glue=SIMPLE)
    assert len(said) == len(lines)
    assert all(line.startswith(start) for line, start in zip(said, lines, strict=True))
    if figures["eval_accuracy"] is not None:
        assert str(best["glue", "eval_accuracy"]) == "0.85 (bag_of_words)"


def test_without_a_gate_it_is_named_too():
    """The model of a user who set no gate: 0.375, where a bag of words has 1.0."""
    simple = {"bag_of_words_accuracy": 1.0}
    _, said = found(reviews={"eval_accuracy": 0.375}, baselines__reviews=simple)
    assert said == ["reviews: eval_accuracy 0.375 is no better than the baseline 1 (bag_of_words)"]


@pytest.mark.parametrize(
    ("gate", "started", "said"),
    [
        ({"tolerance": "10%", "better": "higher"}, True, 0),
        ({"tolerance": "10%", "better": "higher"}, False, 1),
        ({"min": 0.1, "tolerance": "10%"}, True, 1),
    ],
)
def test_what_is_only_a_start_is_not_judged_by_itself(gate, started, said):
    """`make new` trains an encoder first, and holds it to a tolerance alone."""
    other = {"task": "ner", "model_name_or_path": "models/glue" if started else "models/x"}
    params = {"tasks": {"glue": {}, "names": other}, "gates": {"glue": {"eval_accuracy": gate}}}
    best, lines = found(params, glue={"eval_accuracy": 0.3}, baselines__glue=SIMPLE)
    assert len(lines) == said
    assert best  # the table shows it


def test_what_cannot_be_compared_is_left_to_the_gate():
    worse = {"eval_accuracy": 0.1}
    assert found(glue=worse) == ({}, [])
    assert found(glue=worse, baselines__glue=InputError("x")) == ({}, [])
    assert found(glue=InputError("x"), baselines__glue=SIMPLE) == ({}, [])
    off = {**PARAMS, "tasks": {"glue": {"enabled": False}}}
    assert found(off, glue=worse, baselines__glue=SIMPLE) == ({}, [])


def test_the_table_that_ends_a_run(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    (tmp_path / "metrics/baselines").mkdir(parents=True)
    (tmp_path / "metrics/glue.json").write_text(json.dumps({"eval_accuracy": 0.6}))
    (tmp_path / "metrics/baselines/glue.json").write_text(json.dumps(SIMPLE))
    now = {("glue", "eval_accuracy"): 0.6, ("glue", "eval_f1"): 0.5}
    lines = summary({"a": Outcome(RAN)}, {}, now, *read_baselines(tmp_path))
    table = [line.split() for line in lines]
    assert ["task", "metric", "before", "now", "change", "baseline"] in table
    assert ["glue", "eval_accuracy", "-", "0.6", "0.85", "(bag_of_words)"] in table
    assert lines[-1].startswith("warning: glue: eval_accuracy 0.6 is no better than the baseline")
    # Said of what did not change, too; without baselines there is no column.
    assert summary({"a": Outcome(RAN)}, now, now, *read_baselines(tmp_path))[-1] == lines[-1]
    assert not any("baseline" in line for line in summary({"a": Outcome(RAN)}, {}, now))
    assert read_baselines(tmp_path / "metrics") == ({}, [])


# Methods, and metrics of other data or settings than those of this project's own run.
METHODS = (
    "majority", "bag_of_words", "lookup", "no_answer", "overlap", "trigram", "unigram",
    "neighbours", "frequent", "lead_words", "lead", "most_frequent", "nearest",
)  # fmt: skip
ELSEWHERE = {
    "glue": {"f1", "matthews_correlation", "mse", "pearson", "spearmanr"},
    "qa": {"exact_match"},
}


@pytest.mark.parametrize("task", TASKS)
def test_what_a_baseline_gives_is_what_the_registry_says(task):
    """Counts and thresholds are nothing to be better in."""
    found = set()
    for key in json.loads((ROOT / f"metrics/baselines/{task}.json").read_text()):
        method = next(name for name in METHODS if key.startswith(f"{name}_"))
        metric = without_split(key.removeprefix(f"{method}_"))
        if not is_count(metric) and not metric.endswith("_thresh"):
            found.add(metric)
    known = TASKS[task]
    assert found
    assert all(known.may_have_baseline(f"eval_{metric}") for metric in found)
    expected = found | ELSEWHERE.get(task, set())
    for pattern in known.baseline_metrics:
        assert any(fnmatchcase(metric, pattern) for metric in expected), pattern
    assert not known.may_have_baseline("eval_loss")
    assert not known.may_have_baseline("eval_samples")


def test_the_metrics_of_all_settings_are_in_the_registry():
    numbers = np.array([0.0, 1.0, 3.0])
    for name in (None, *TASK_COLUMNS, REGRESSION):
        metric = Glue(name)
        found = metric.compute(predictions=numbers, references=numbers)
        assert all(TASKS["glue"].may_have_baseline(f"eval_{one}") for one in found), name
    answer = {"answers": {"text": ["a"], "answer_start": [0]}, "id": "1"}
    found = Squad().compute(predictions=[{"id": "1", "prediction_text": "a"}], references=[answer])
    assert all(TASKS["qa"].may_have_baseline(f"eval_{one}") for one in found)


def test_a_task_that_names_no_metrics_may_have_any():
    assert Task(script="run_toy", suffix=".csv", curves=()).may_have_baseline("eval_loss")
