"""What a gate judges: limits, tolerances, gates that are badly written; the exit status."""

import subprocess
import sys

import pytest
from support.gated_repository import METRICS, PARAMS

from stages.core.errors import InputError
from stages.core.params import parse_params
from stages.gate.rules import evaluate_gates


def test_untouched_holds(repository, capsys):
    assert repository.gate() == 0
    shown = capsys.readouterr()
    assert "3 gates hold" in shown.out
    assert "\033" not in shown.out
    assert shown.err == ""


def test_pushed_below(repository, capsys):
    repository.metrics["glue"]["eval_accuracy"] = 0.79
    repository.write()
    assert repository.gate() == 1
    error = capsys.readouterr().err
    assert "metrics/glue.json: eval_accuracy falls short: 0.79 is below min 0.8" in error


def test_pushed_above(repository):
    repository.metrics["clm"]["eval_perplexity"] = 20.000001
    repository.write()
    assert repository.gate() == 1
    assert repository.gate("--task", "glue") == 0


def test_limits_are_inclusive(repository):
    repository.metrics["glue"]["eval_accuracy"] = 0.8
    repository.metrics["clm"]["eval_perplexity"] = 20
    repository.write()
    assert repository.gate() == 0


def test_two_wins_over_one(repository):
    repository.metrics["glue"]["eval_accuracy"] = 0.1
    del repository.metrics["clm"]["eval_perplexity"]
    repository.write()
    assert repository.gate() == 2
    assert repository.gate("--task", "glue") == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mim": 0.8}, "unknown key 'mim'; did you mean 'min'?"),
        ({"min": 0.8, "toleranc": 1}, "unknown key 'toleranc'; did you mean 'tolerance'?"),
        ({}, "holds nothing"),
        ({"better": "higher"}, "holds nothing"),
        (0.8, "write a mapping"),
        (None, "write a mapping"),
        ({"min": True}, "min is True; expected a number"),
        ({"min": "0.8"}, "min is '0.8'; expected a number"),
        ({"min": None}, "min has no value; expected a number"),
        ({"max": float("nan")}, "max is nan; expected a number"),
        ({"max": float("inf")}, "max is inf; expected a number"),
        ({"min": 0.9, "max": 0.8}, "min 0.9 is above max 0.8"),
        ({"min": 0.8, "tolerance": -1}, "tolerance is -1; expected a number of 0 or more, or"),
        ({"min": 0.8, "tolerance": "2"}, "tolerance is '2'; expected a number of 0 or more"),
        ({"min": 0.8, "tolerance": "x%"}, "tolerance is 'x%'; expected a number"),
        ({"min": 0.8, "tolerance": "nan%"}, "tolerance is 'nan%'; expected a number"),
        ({"min": 0.8, "tolerance": None}, "tolerance has no value; expected a number"),
        ({"tolerance": 1}, "better: higher"),
        ({"tolerance": 1, "better": "more"}, "better is 'more'; expected one of higher, lower"),
        ({"min": 0.8, "better": "lower"}, "contradicts"),
        ({"min": 0.8, "deviations": -1}, "deviations is -1; expected a number, >= 0"),
        ({"min": 0.8, "deviations": "2"}, "deviations is '2'; expected a number, >= 0"),
        ({"min": 0.8, "deviations": None}, "deviations has no value; expected a number"),
        ({"deviations": 2}, "holds nothing"),
        (
            {"tolerance": 1, "better": "higher", "deviations": 2},
            "deviations: needs a min, a max or beats",
        ),
        ({"min": 0.8, "deviations": 2}, "deviations: seeds.glue lists no seeds to repeat with"),
    ],
)
def test_gate_badly_written(repository, capsys, spec, said):
    repository.params["gates"]["glue"]["eval_accuracy"] = spec
    repository.write()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "params.yaml: gates.glue.eval_accuracy" in error


def test_gates_and_tasks_must_match(repository, capsys):
    repository.params["gates"]["gleu"] = repository.params["gates"].pop("glue")
    repository.write()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert "gleu is no task; known are" in error
    assert "gates.glue: no gates" in error
    assert repository.gate("--task", "clm") == 0
    assert repository.gate("--task", "nothing") == 2


@pytest.mark.parametrize(
    "text",
    [
        "tasks: {glue: {}}\n",
        "gates: {glue: {eval_accuracy: {min: 0}}}\n",
        "tasks: {glue: {}}\ngates: {glue: {eval_loss: {max: 1}}, glue: {eval_loss: {max: 9}}}\n",
        "tasks: [glue]\ngates: {glue: {eval_loss: {max: 1}}}\n",
        "tasks: {glue: {}, on: {}}\ngates: {glue: {eval_loss: {max: 1}}}\n",
        "tasks: {glue: {}}\ngates: {glue: {1: {max: 1}}}\n",
        "tasks: {\n",
        "",
        None,
    ],
)
def test_params_without_usable_gates(repository, text):
    path = repository.folder / "params.yaml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert repository.gate() == 2


def test_number_with_an_exponent_and_no_point(repository):
    text = "tasks: {glue: {}}\ngates: {glue: {eval_loss: {max: %s}}}\n"
    path = repository.folder / "params.yaml"
    path.write_text(text % "5e-1")
    assert repository.gate() == 0
    path.write_text(text % "49e-2")
    assert repository.gate() == 1
    assert parse_params(b"x: [1e-5, -2E3, 1.5e3, '1e-5', 12, v1e5]", "x") == {
        "x": [1e-05, -2000.0, 1500.0, "1e-5", 12, "v1e5"]
    }


def test_what_only_looks_switched_off_is_judged(repository):
    repository.params["tasks"]["clm"]["enabled"] = True
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate() == 2


def test_a_switch_that_is_text_is_refused(repository, capsys):
    repository.params["tasks"]["clm"]["enabled"] = "false"
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate() == 2
    assert "tasks.clm.enabled is 'false'; write true or false" in capsys.readouterr().err


def test_pure_rules():
    verdicts = evaluate_gates(PARAMS, {"glue": METRICS["glue"], "clm": InputError("gone")})
    assert [(one.task, one.metric, one.status) for one in verdicts] == [
        ("glue", "eval_accuracy", 0),
        ("glue", "eval_loss", 0),
        ("clm", "eval_perplexity", 2),
    ]


def test_decimals_are_compared_as_written():
    # In binary 0.8 - 0.1 is 0.7000000000000001, and 0.7 would be refused.
    params = {
        "tasks": {"a": {}},
        "gates": {"a": {"m": {"tolerance": 0.1, "better": "higher"}}},
    }
    verdicts = evaluate_gates(params, {"a": {"m": 0.7}}, params, {"a": {"m": 0.8}})
    assert verdicts[0].status == 0


@pytest.mark.parametrize(("accuracy", "status"), [(0.9, 0), (0.7, 1), (None, 2)])
def test_command_exits_with_the_status(repository, accuracy, status):
    if accuracy is None:
        del repository.metrics["glue"]["eval_accuracy"]
    else:
        repository.metrics["glue"]["eval_accuracy"] = accuracy
    repository.write()
    line = [sys.executable, "-m", "stages.gate"]
    ended = subprocess.run(line, cwd=repository.folder, capture_output=True, text=True)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
