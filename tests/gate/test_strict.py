"""`--strict`: what a branch loosens fails unless `gates.loosened` owns up to it."""

import pytest


def retire(params: dict, task: str, metric: str = "") -> None:
    """What `retired` asks for."""
    if metric:
        params["gates"][task][metric] = "retired"
    else:
        params["gates"][task] = "retired"
        del params["tasks"][task]


def set_gate(task: str, metric: str, **spec):
    def change(params: dict) -> None:
        params["gates"][task][metric] = spec

    return change


LOOSER = [
    (set_gate("glue", "eval_accuracy", min=0.75, tolerance=0.1),
     "glue.eval_accuracy min 0.8 -> 0.75"),
    (set_gate("glue", "eval_loss", max=1), "glue.eval_loss max 0.5 -> 1"),
    (set_gate("clm", "eval_perplexity", max=20), "clm.eval_perplexity tolerance 10% -> none"),
    (set_gate("clm", "eval_perplexity", max=20, tolerance="20%"),
     "clm.eval_perplexity tolerance 10% -> 20%"),
    (set_gate("clm", "eval_perplexity", max=20, tolerance=9),
     "clm.eval_perplexity tolerance 10% -> 9"),
    (set_gate("glue", "spread", min=0.1, deviations=1), "glue.spread deviations 2 -> 1"),
    (set_gate("glue", "turned", tolerance=0.1, better="lower"),
     "glue.turned better higher -> lower"),
    (lambda p: p["gates"]["glue"].pop("eval_loss"), "glue.eval_loss max 0.5 -> none"),
    (lambda p: p["tasks"]["clm"].update(enabled=False), "clm enabled true -> false"),
    (lambda p: p["seeds"].update(glue=[7]), "glue seeds [7, 8] -> [7]"),
    (lambda p: p["seeds"].update(glue=[7, 9]), "glue seeds [7, 8] -> [7, 9]"),
    (lambda p: retire(p, "glue", "extra"), "glue.extra judged -> retired"),
    (lambda p: retire(p, "clm"), "clm judged -> retired"),
]  # fmt: skip


@pytest.fixture
def guarded(repository):
    """A base with a gate of each kind."""
    repository.params["seeds"] = {"glue": [7, 8]}
    repository.params["gates"]["glue"] |= {
        "spread": {"min": 0.1, "deviations": 2},
        "turned": {"tolerance": 0.1, "better": "higher"},
    }
    repository.metrics["glue"] |= {"turned": 1, "spread": 1, "extra": 1}
    repository.metrics["seeds/glue"] = {"spread_mean": 1, "spread_std": 0.1}
    repository.write()
    repository.commit()
    return repository


def apply(repository, change) -> None:
    change(repository.params)
    if repository.params["gates"]["glue"].get("extra") == "retired":
        repository.metrics["glue"].pop("extra", None)
    repository.write()


STRICT = ("--base", "main", "--strict")


@pytest.mark.parametrize(("change", "line"), LOOSER)
def test_what_is_loosened_fails_when_strict(guarded, capsys, change, line):
    assert guarded.gate(*STRICT) == 0
    apply(guarded, change)
    capsys.readouterr()
    assert guarded.gate("--base", "main") == 0
    assert guarded.gate(*STRICT) == 1
    error = capsys.readouterr().err
    assert f"add to gates.loosened the line '- {line}'" in error
    guarded.params["gates"]["loosened"] = [line]
    guarded.write()
    assert guarded.gate(*STRICT) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "glue.eval_accuracy min 0.8 -> 0.7",
        "glue.eval_accuracy min 0.9 -> 0.75",
        "glue.eval_accuracy min 0.8 -> 0.751",
        "glue.eval_accuracy min 0.8 -> 0.75, tolerance",
        "clm.eval_accuracy min 0.8 -> 0.75",
        "glue.eval_accuracy",
        "",
    ],
)
def test_a_line_that_names_something_else_is_none(guarded, line):
    apply(guarded, LOOSER[0][0])
    guarded.params["gates"]["loosened"] = [line]
    guarded.write()
    assert guarded.gate(*STRICT) == 1


def test_each_change_needs_a_line_of_its_own(guarded, capsys):
    guarded.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.7, "tolerance": 0.2}
    guarded.params["gates"]["loosened"] = ["glue.eval_accuracy min 0.8 -> 0.7 (another encoder)"]
    guarded.write()
    assert guarded.gate(*STRICT) == 1
    errors = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error: ")]
    assert len(errors) == 1
    assert "'- glue.eval_accuracy tolerance 0.1 -> 0.2'" in errors[0]


def test_a_line_of_the_base_was_for_an_earlier_change(guarded, capsys):
    change, line = LOOSER[0]
    guarded.params["gates"]["loosened"] = [line]
    guarded.write()
    guarded.commit()
    apply(guarded, change)
    assert guarded.gate(*STRICT) == 1
    assert "with a reason in brackets, as the base has it already" in capsys.readouterr().err
    guarded.params["gates"]["loosened"].append(f"{line} (once more)")
    guarded.write()
    assert guarded.gate(*STRICT) == 0


def test_lines_that_are_no_text(guarded, capsys):
    guarded.params["gates"]["loosened"] = [{"glue": "min 0.8 -> 0.75"}]
    guarded.write()
    assert guarded.gate() == 2
    assert "gates.loosened has {'glue': 'min 0.8 -> 0.75'}, which is no text" in (
        capsys.readouterr().err
    )


def test_a_task_may_be_named_as_the_list_is(guarded):
    guarded.params["tasks"]["loosened"] = {}
    guarded.params["gates"]["loosened"] = {"eval_loss": {"max": 1}}
    guarded.metrics["loosened"] = {"eval_loss": 0.5}
    guarded.write()
    assert guarded.gate(*STRICT) == 0
