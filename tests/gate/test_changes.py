"""What changed since the base: loosened gates, metrics and tasks given up, versions."""

import json

import pytest
import yaml


def test_a_metric_that_only_the_base_has(repository, capsys):
    repository.metrics["glue"]["eval_f1"] = 0.7  # no gate
    repository.write()
    repository.commit()
    del repository.metrics["glue"]["eval_f1"]
    repository.metrics["glue"]["eval_f2"] = 0.7
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    shown = capsys.readouterr()
    assert "metrics/glue.json: the base has eval_f1, here it is gone" in shown.err
    (gone,) = [line.split() for line in shown.out.splitlines() if "eval_f1" in line]
    assert gone == ["glue", "eval_f1", "0.7", "gone"]
    (new,) = [line.split() for line in shown.out.splitlines() if "eval_f2" in line]
    assert new == ["glue", "eval_f2", "new", "0.7", "new"]
    assert repository.gate("--base", "main", "--task", "clm") == 0


def test_a_metric_given_up_on_purpose(repository, capsys):
    repository.metrics["glue"]["eval_f1"] = 0.7
    repository.write()
    repository.commit()
    repository.params["gates"]["glue"]["eval_f1"] = "retired"
    repository.write()
    assert repository.gate("--base", "main") == 2
    assert "is retired, but metrics/glue.json has it" in capsys.readouterr().err
    del repository.metrics["glue"]["eval_f1"]
    repository.write()
    assert repository.gate("--base", "main") == 0
    shown = capsys.readouterr()
    assert "retired" in shown.out
    assert "3 gates hold" in shown.out
    assert shown.err == ""
    repository.commit()
    assert repository.gate("--base", "main") == 0
    assert "gates.glue.eval_f1 is retired, and the base has it no more" in capsys.readouterr().err


def test_a_task_that_only_the_base_has(repository, capsys):
    for part in ("tasks", "gates"):
        del repository.params[part]["clm"]
    del repository.metrics["clm"]
    repository.file("clm").unlink()
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    assert "the base has the task clm, and tasks.clm is gone" in capsys.readouterr().err
    assert repository.gate("--base", "main", "--task", "glue") == 0
    repository.params["gates"]["clm"] = "retired"
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert "retired" in capsys.readouterr().out
    repository.params["tasks"]["clm"] = {}
    repository.write()
    assert repository.gate("--base", "main") == 2
    assert "gates.clm is retired, but tasks.clm is still there" in capsys.readouterr().err


def test_gates_are_not_all_retired(repository, capsys):
    repository.params["gates"]["clm"] = {"eval_perplexity": "retired"}
    repository.write()
    assert repository.gate() == 2
    assert "gates.clm: no gates" in capsys.readouterr().err


def test_other_versions_are_told(repository, capsys):
    def versions(jax: str, requirements: str | None) -> None:
        (repository.folder / "versions.json").write_text(json.dumps({"jax": jax, "flax": "1"}))
        lock = yaml.safe_load((repository.folder / "dvc.lock").read_text())
        dep = {"path": "requirements.lock", "hash": "md5", "md5": requirements}
        lock["stages"]["versions"] = {"cmd": "x", "deps": [dep]}
        (repository.folder / "dvc.lock").write_text(yaml.safe_dump(lock))

    versions("0.10.1", "aa")
    repository.commit()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().err == ""
    versions("0.10.2", "bb")
    assert repository.gate("--base", "main") == 0
    error = capsys.readouterr().err
    assert "warning: other versions than at the base: jax 0.10.1 -> 0.10.2\n" in error
    assert "warning: requirements.lock is another than at the base" in error
    (repository.folder / "versions.json").write_text("{")
    assert repository.gate("--base", "main") == 0
    assert "warning: versions cannot be compared: versions.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"min": 0.7, "tolerance": 0.1}, "min 0.8 -> 0.7"),
        ({"min": 0.8}, "tolerance 0.1 -> none"),
        ({"min": 0.8, "tolerance": 0.2}, "tolerance 0.1 -> 0.2"),
        ({"min": 0.8, "tolerance": "50%"}, "tolerance 0.1 -> 50%"),
        ({"max": 1, "tolerance": 0.1}, "better higher -> lower"),
        (None, "min 0.8 -> none"),
    ],
)
def test_loosened_gate_is_shown(repository, capsys, spec, said):
    if spec is None:
        del repository.params["gates"]["glue"]["eval_accuracy"]
    else:
        repository.params["gates"]["glue"]["eval_accuracy"] = spec
    repository.write()
    assert repository.gate("--base", "main") == 0
    error = capsys.readouterr().err
    assert f"warning: loosened: glue.eval_accuracy {said}\n" in error


def test_a_task_switched_off_is_listed_and_judged_by_nothing(repository, capsys):
    repository.params["tasks"]["clm"]["enabled"] = False
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate("--base", "main") == 0
    shown = capsys.readouterr()
    assert "2 gates hold" in shown.out
    (row,) = [line.split() for line in shown.out.splitlines() if line.startswith("clm")]
    assert row[-2:] == ["switched", "off"]
    assert "warning: loosened: clm enabled true -> false" in shown.err


@pytest.mark.parametrize("deviations", [1, None])
def test_fewer_deviations_are_looser(repeated, capsys, deviations):
    repeated.commit()
    gate = repeated.params["gates"]["glue"]["eval_accuracy"]
    gate["deviations"] = deviations
    if deviations is None:
        del gate["deviations"]
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    said = f"loosened: glue.eval_accuracy deviations 2 -> {deviations or 'none'}"
    assert said in capsys.readouterr().err
    repeated.commit()
    gate["deviations"] = 2
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    assert "loosened" not in capsys.readouterr().err


def test_tightened_gate_is_not_shown(repository, capsys):
    repository.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.85, "tolerance": 0.01}
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().err == ""


# Metrics that are no numbers any more


@pytest.mark.parametrize("value", [None, "0.7", True, ""])
def test_a_figure_of_the_base_that_is_no_number_here_is_gone(repository, capsys, value):
    repository.metrics["glue"]["eval_f1"] = 0.7
    repository.write()
    repository.commit()
    repository.metrics["glue"]["eval_f1"] = value
    repository.write()
    assert repository.gate("--base", "main") == 2
    assert f"the base has eval_f1, here it is no number but {value!r};" in capsys.readouterr().err
    assert repository.gate() == 0
    repository.commit()
    assert repository.gate("--base", "main") == 0


# Committed figures


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (0.85, None),
        (0.79, "eval_accuracy: 0.79 is more than 0.1 below the committed figure, 0.9"),
        (1.01, "eval_accuracy: 1.01 is more than 0.1 above the committed figure, 0.9"),
    ],
)
def test_figures_that_are_not_about_the_committed_ones_are_told(repository, capsys, figure, said):
    repository.params["gates"]["glue"]["eval_accuracy"]["min"] = 0.5
    repository.write()
    repository.commit()
    repository.metrics["glue"]["eval_accuracy"] = figure
    repository.write()
    assert repository.gate("--committed") == 0
    error = capsys.readouterr().err
    assert error == (f"warning: metrics/glue.json: {said}\n" if said else "")
    assert repository.gate() == 0
    assert capsys.readouterr().err == ""
