"""Other test data than at the base: no comparison, said once; and no way round the gate."""

import json

import pytest

from stages.gate.data_sums import changed_data
from stages.gate.lockfile import Record

STRICT = ("--base", "main", "--strict")


@pytest.fixture
def measured(repository):
    """Both tasks have test data; glue has metrics without a gate and a count, too."""
    repository.data |= {"glue": "a,b\n1,2\n", "clm": "text\n"}
    repository.metrics["glue"] |= {"eval_f1": 0.7, "eval_LOC_f1": 0.6, "eval_samples": 10}
    repository.write()
    repository.commit()
    return repository


def change_data(repository, task: str = "glue") -> str:
    """Another row; the line that owns up to it."""
    old = repository.data_sum(task)
    repository.data[task] += "3,4\n"
    repository.write()
    return f"{task} test data {old} -> {repository.data_sum(task)}"


def test_it_is_said_once_with_both_sums(measured, capsys):
    for name in ("eval_f1", "eval_LOC_f1", "eval_samples"):
        del measured.metrics["glue"][name]
    measured.metrics["glue"] |= {"eval_accuracy": 0.75 + 0.06, "eval_ORG_f1": 1}
    line = change_data(measured)
    old, _, new = line.split()[-3:]
    measured.params["gates"]["glue"]["eval_accuracy"]["tolerance"] = 0.01
    measured.write()
    assert measured.gate("--base", "main") == 0
    shown = capsys.readouterr()
    (row,) = [one for one in shown.out.splitlines() if "not compared" in one]
    assert row.split()[:3] == ["glue", old[:10], new[:10]]
    assert row.endswith("data changed, not compared")
    assert "gone" not in shown.out
    assert "new" not in shown.out
    assert shown.err == f"warning: glue: test data changed, not compared: {old} -> {new}\n"
    measured.gate("--base", "main", "--json")
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert [one["data"] for one in verdicts if one["data"]] == [[old, new]]
    assert [one["base"] for one in verdicts if one["task"] == "clm"] == [10]


def test_other_tasks_are_compared_as_ever(measured, capsys):
    change_data(measured)
    measured.metrics["clm"]["eval_perplexity"] = 15
    measured.write()
    assert measured.gate("--base", "main") == 1
    assert "eval_perplexity regressed" in capsys.readouterr().err


def test_the_control_same_data(measured, capsys):
    """The same figures beside the same data: regressed, and gone."""
    measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.params["gates"]["glue"]["eval_accuracy"]["min"] = 0.5
    del measured.metrics["glue"]["eval_f1"]
    measured.write()
    assert measured.gate("--base", "main") == 2
    error = capsys.readouterr().err
    assert "eval_accuracy regressed" in error
    assert "the base has eval_f1, here it is gone" in error
    change_data(measured)
    assert measured.gate("--base", "main") == 0


# As somebody who changes one row to escape the comparison


def test_strict_asks_for_the_change_to_be_named(measured, capsys):
    line = change_data(measured)
    assert measured.gate(*STRICT) == 1
    assert f"add to gates.loosened the line '- {line}'" in capsys.readouterr().err
    measured.params["gates"]["loosened"] = [f"{line} (rows of May)"]
    measured.write()
    assert measured.gate(*STRICT) == 0
    # The line is for these data, and serves once.
    change_data(measured)
    assert measured.gate(*STRICT) == 1


def test_what_the_gates_say_of_the_figures_alone_holds(measured, capsys):
    measured.params["gates"]["loosened"] = [change_data(measured)]
    measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.write()
    assert measured.gate(*STRICT) == 1
    assert "0.79 is below min 0.8" in capsys.readouterr().err
    del measured.metrics["glue"]["eval_accuracy"]
    measured.write()
    assert measured.gate(*STRICT) == 2
    assert "eval_accuracy is missing" in capsys.readouterr().err


def test_beats_holds_as_well(measured, capsys):
    measured.metrics["baselines/glue"] = {"majority_accuracy": 0.95}
    measured.params["gates"]["glue"]["eval_accuracy"]["beats"] = "baseline"
    measured.params["gates"]["loosened"] = [change_data(measured)]
    measured.write()
    assert measured.gate(*STRICT) == 1
    assert "0.9 does not beat the baseline majority, 0.95" in capsys.readouterr().err


def test_a_gate_loosened_beside_it_is_named_too(measured, capsys):
    measured.params["gates"]["loosened"] = [change_data(measured)]
    measured.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.7}
    measured.write()
    assert measured.gate(*STRICT) == 1
    error = capsys.readouterr().err
    assert "glue.eval_accuracy min 0.8 -> 0.7" in error
    assert "glue.eval_accuracy tolerance 0.1 -> none" in error


@pytest.mark.parametrize("side", ["here", "base"])
def test_data_that_are_recorded_on_one_side_only_are_compared(measured, capsys, side):
    text = measured.data.pop("glue")
    measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.5, "tolerance": 0.1}
    if side == "base":
        measured.metrics["glue"]["eval_accuracy"] = 0.9
        measured.write()
        measured.commit()
        measured.data["glue"] = text
        measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.write()
    assert measured.gate("--base", "main") == 1
    assert "eval_accuracy regressed" in capsys.readouterr().err


@pytest.mark.parametrize("md5", ["", "other", "0" * 31, "0" * 99999, "0" * 31 + "\n"])
def test_what_is_no_sum_names_no_other_data(md5):
    def records(text: str) -> dict[str, Record]:
        deps = {"data/glue/test.csv": text, "models/glue": "1" * 32}
        return {"evaluate@glue": Record("x", deps, {}, {"metrics/glue.json": "2" * 32})}

    known = records("a" * 32)
    assert changed_data(records(md5), known, ["glue"]) == {}
    assert changed_data(known, records(md5), ["glue"]) == {}
    assert changed_data(records("b" * 32), known, ["glue", "clm"]) == {"glue": ("a" * 32, "b" * 32)}


def test_a_lock_of_the_base_that_cannot_be_read(measured, capsys):
    lock = measured.folder / "dvc.lock"
    lock.write_text("stages: [")
    measured.commit()
    change_data(measured)
    measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.5, "tolerance": 0.1}
    measured.write()
    assert measured.gate("--base", "main") == 1
    error = capsys.readouterr().err
    assert "warning: test data cannot be compared: main: dvc.lock" in error
    assert "eval_accuracy regressed" in error


def test_fewer_rows_of_the_same_data(measured, capsys):
    """`max_eval_samples` would score the easiest rows alone."""
    measured.params["tasks"]["glue"]["max_eval_samples"] = 5
    measured.write()
    assert measured.gate(*STRICT) == 1
    assert "'- glue max_eval_samples none -> 5'" in capsys.readouterr().err
    measured.commit()
    measured.params["tasks"]["glue"]["max_eval_samples"] = 6
    measured.write()
    assert measured.gate(*STRICT) == 0


def test_data_made_on_another_machine(measured, capsys):
    """The commit has the base's data, this machine made others: they are compared as ever."""
    line = change_data(measured)
    old, _, new = line.split()[-3:]
    assert measured.gate(*STRICT, "--committed") == 0
    said = f"warning: glue: test data made differently here, compared: {old} -> {new}"
    assert said in capsys.readouterr().err
    measured.metrics["glue"]["eval_accuracy"] = 0.79
    measured.params["gates"]["glue"]["eval_accuracy"]["min"] = 0.5
    measured.write()
    measured.params["gates"]["loosened"] = ["glue.eval_accuracy min 0.8 -> 0.5"]
    measured.write()
    assert measured.gate(*STRICT, "--committed") == 1
    assert "eval_accuracy regressed" in capsys.readouterr().err


def test_a_branch_that_commits_other_data_is_not_that(measured, capsys):
    measured.git("checkout", "-q", "-b", "branch")
    line = change_data(measured)
    measured.commit()
    assert measured.gate(*STRICT, "--committed") == 1
    assert f"'- {line}'" in capsys.readouterr().err


# Metrics that are given up, and counts


def test_counts_may_come_and_go(measured, capsys):
    del measured.metrics["glue"]["eval_samples"]
    measured.metrics["glue"]["eval_ORG_number"] = 3
    measured.write()
    assert measured.gate(*STRICT) == 0
    shown = capsys.readouterr()
    assert "eval_samples" not in shown.out
    assert "eval_ORG_number" not in shown.out
    # One with a gate is judged.
    measured.params["gates"]["glue"]["eval_samples"] = {"min": 5}
    measured.write()
    assert measured.gate() == 2


def test_a_pattern_gives_up_several_metrics(measured, capsys):
    measured.metrics["glue"] |= {"eval_LOC_recall": 0.5}
    measured.write()
    measured.commit()
    for name in ("eval_LOC_f1", "eval_LOC_recall"):
        del measured.metrics["glue"][name]
    measured.params["gates"]["glue"]["retired"] = ["eval_LOC_*"]
    measured.write()
    assert measured.gate("--base", "main") == 0
    assert capsys.readouterr().out.count("retired") == 2
    assert measured.gate(*STRICT) == 1
    assert "'- glue.eval_LOC_* judged -> retired'" in capsys.readouterr().err
    measured.params["gates"]["loosened"] = ["glue.eval_LOC_* judged -> retired"]
    measured.write()
    assert measured.gate(*STRICT) == 0
    measured.commit()
    assert measured.gate("--base", "main") == 0
    error = capsys.readouterr().err
    assert "gates.glue.eval_LOC_* is retired, and the base has it no more; take it out" in error


def test_what_a_pattern_does_not_name_is_gone(measured, capsys):
    del measured.metrics["glue"]["eval_f1"]
    measured.params["gates"]["glue"]["retired"] = ["eval_ORG_*"]
    measured.write()
    assert measured.gate("--base", "main") == 2
    assert "the base has eval_f1, here it is gone" in capsys.readouterr().err


def test_a_pattern_hides_no_gate_that_is_taken_out(measured, capsys):
    del measured.params["gates"]["glue"]["eval_accuracy"]
    for name in ("eval_accuracy", "eval_f1", "eval_LOC_f1", "eval_samples"):
        del measured.metrics["glue"][name]
    measured.params["gates"]["glue"]["retired"] = ["eval_[!l]*"]
    measured.params["gates"]["loosened"] = ["glue.eval_[!l]* judged -> retired"]
    measured.write()
    assert measured.gate(*STRICT) == 1
    assert "'- glue.eval_accuracy min 0.8 -> none'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["eval_acc*"], "gates.glue: eval_accuracy has a gate, and `retired` gives it up"),
        (["eval_f1"], "gates.glue.eval_f1 is retired, but metrics/glue.json has it"),
        (["*_f1"], "gates.glue.eval_LOC_f1 is retired, but metrics/glue.json has it"),
        ([3], "gates.glue.retired has 3; list names or patterns of metrics"),
        ([""], "gates.glue.retired has ''; list names or patterns of metrics"),
        (["*a" * 200], "list names or patterns of metrics"),
    ],
)
def test_patterns_that_contradict(measured, capsys, patterns, said):
    measured.params["gates"]["glue"]["retired"] = patterns
    measured.write()
    assert measured.gate() == 2
    assert said in capsys.readouterr().err


def test_a_metric_may_be_named_retired(measured):
    measured.metrics["glue"]["retired"] = 1
    measured.params["gates"]["glue"]["retired"] = {"min": 1}
    measured.write()
    assert measured.gate() == 0
    measured.metrics["glue"]["retired"] = 0.5
    measured.write()
    assert measured.gate() == 1
