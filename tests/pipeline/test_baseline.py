"""`stages.pipeline.baseline`: the settings that it takes out of `tasks.yaml`."""

import inspect
import json

import pytest
from support import scripts

from stages.core.errors import InputError
from stages.pipeline.baseline import parse_settings
from stages.tasks.registry import TASKS, arguments_class, load_part


def test_settings_have_their_types():
    text = "max_seq_length=160,line_by_line=false,mlm_probability=1e-05,task_name=mrpc"
    assert parse_settings(text) == {
        "max_seq_length": 160, "line_by_line": False, "mlm_probability": 1e-05, "task_name": "mrpc"
    }  # fmt: skip
    assert parse_settings("") == {}
    with pytest.raises(InputError, match="--settings: 'mrpc' is no name=value; run `make unroll`"):
        parse_settings("mrpc")


@pytest.mark.parametrize("task", TASKS)
def test_defaults_are_those_of_the_task(task):
    taken = inspect.signature(load_part(task, "baseline").measure).parameters
    fields = arguments_class(task).model_fields
    names = TASKS[task].baseline_settings
    assert set(taken) - {"folder", "tokenizer"} == set(names)
    assert {name: taken[name].default for name in names} == {
        name: fields[name].default for name in names
    }


@pytest.mark.parametrize(
    ("settings", "metrics"),
    [("", {"accuracy"}), ("task_name=mrpc", {"accuracy", "f1"}), ("task_name=cola",
     {"matthews_correlation"})],
)  # fmt: skip
def test_a_baseline_has_the_metrics_of_its_model(tmp_path, settings, metrics):
    """And classes that only the test rows have are no mistake of the data."""
    rows = ["sentence1,sentence2,label", "a b,a b,yes", "a b,c d,no"]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "test.csv").write_text("\n".join([*rows, "a,b,perhaps"]) + "\n")
    output = tmp_path / "found.json"
    scripts.call(
        "pipeline.baseline", "glue", f"--data={tmp_path}", f"--output={output}",
        f"--settings={settings}",
    )  # fmt: skip
    found = json.loads(output.read_text())
    assert found.keys() == {f"{m}_{n}" for m in ("majority", "bag_of_words") for n in metrics}


def test_a_regression_whose_test_rows_are_whole_numbers(tmp_path):
    (tmp_path / "train.csv").write_text("sentence1,label\na b,0.5\nc d,2\n")
    (tmp_path / "test.csv").write_text("sentence1,label\na b,1\nc d,2\n")
    output = tmp_path / "found.json"
    scripts.call("pipeline.baseline", "glue", f"--data={tmp_path}", f"--output={output}")
    assert json.loads(output.read_text()).keys() == {"majority_mse", "bag_of_words_mse"}
