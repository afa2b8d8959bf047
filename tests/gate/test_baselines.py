"""`beats: baseline`: a model has to be better than the best simple method of its task."""

import json

import pytest

from stages.gate.baselines import best_baseline
from stages.gate.limits import NO_GATE, Gate

SIMPLE = {
    "majority_accuracy": 0.5, "bag_of_words_accuracy": 0.85, "majority_loss": 0.7,
    "bag_of_words_loss": 0.6,
}  # fmt: skip


@pytest.fixture
def beating(repository):
    """The accuracy of glue, 0.9, has to beat a bag of words, 0.85."""
    repository.metrics["baselines/glue"] = dict(SIMPLE)
    repository.params["gates"]["glue"] = {"eval_accuracy": {"beats": "baseline"}}
    repository.write()
    repository.commit()
    return repository


def set_accuracy(repository, value: float, **gate) -> None:
    repository.metrics["glue"]["eval_accuracy"] = value
    repository.params["gates"]["glue"]["eval_accuracy"] |= gate
    repository.write()


def test_the_best_baseline_is_beaten(beating, capsys):
    assert beating.gate() == 0
    shown = capsys.readouterr().out
    assert "> baseline  0.85 (bag_of_words)  0.9" in shown


@pytest.mark.parametrize("value", [0.85, 0.84, 0.6])
def test_a_model_that_is_no_better_fails(beating, capsys, value):
    """Not even the best method reached, or just that."""
    set_accuracy(beating, value)
    assert beating.gate() == 1
    error = capsys.readouterr().err
    assert f"{value} does not beat the baseline bag_of_words, 0.85" in error
    assert ("it is as good, so give a min" in error) == (value == 0.85)


@pytest.mark.parametrize(
    ("margin", "value", "status"),
    [
        (0.05, 0.9, 0),
        (0.05, 0.8999, 1),
        ("10%", 0.935, 0),
        ("10%", 0.9349, 1),
        (0, 0.85, 1),
        (0, 0.8501, 0),
    ],
)
def test_a_margin(beating, capsys, margin, value, status):
    set_accuracy(beating, value, margin=margin)
    assert beating.gate() == status
    by = f", 0.85 by {margin}" if margin else ", 0.85;"
    assert (by in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(("value", "status"), [(0.5, 0), (0.6, 1), (0.65, 1)])
def test_where_lower_is_better_the_lowest_is_the_best(beating, value, status):
    beating.params["gates"]["glue"]["eval_loss"] = {"beats": "baseline"}
    beating.metrics["glue"]["eval_loss"] = value
    beating.write()
    assert beating.gate() == status


def test_a_direction_that_no_name_says(beating, capsys):
    beating.params["gates"]["glue"]["eval_error"] = {"beats": "baseline", "better": "lower"}
    beating.metrics["glue"]["eval_error"] = 0.3
    beating.metrics["baselines/glue"] |= {"majority_error": 0.5, "bag_of_words_error": 0.31}
    beating.write()
    assert beating.gate() == 0
    assert "< baseline  0.31 (bag_of_words)" in capsys.readouterr().out
    beating.metrics["glue"]["eval_error"] = 0.4
    beating.write()
    assert beating.gate() == 1


def test_a_mean_less_its_deviations_has_to_beat_it(repeated, capsys):
    repeated.metrics["baselines/glue"] = dict(SIMPLE)
    gate = {"beats": "baseline", "deviations": 1}
    repeated.params["gates"]["glue"]["eval_accuracy"] = gate
    repeated.metrics["seeds/glue"]["eval_accuracy_std"] = 0.04
    repeated.write()
    assert repeated.gate() == 0
    assert "mean - 1 std > baseline" in capsys.readouterr().out
    repeated.metrics["seeds/glue"]["eval_accuracy_std"] = 0.05
    repeated.write()
    assert repeated.gate() == 1
    error = capsys.readouterr().err
    assert "mean 0.9 - 1 x std 0.05 = 0.85 does not beat the baseline bag_of_words, 0.85" in error


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "metrics/baselines/glue.json: missing; run `make repro`"),
        ({}, "metrics/baselines/glue.json: no baseline of eval_accuracy; run `make repro`, or"),
        ({"majority_f1": 0.1}, "no baseline of eval_accuracy"),
        ({"majority_accuracy": None}, "no baseline of eval_accuracy"),
        ({"majority_accuracy": "0.5"}, "no baseline of eval_accuracy"),
        ("{", "metrics/baselines/glue.json: not readable"),
        ('{"majority_accuracy": NaN}', "metrics/baselines/glue.json: not readable"),
    ],
)
def test_without_a_baseline_nothing_is_beaten(beating, capsys, content, said):
    beating.file("baselines/glue").unlink()
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        beating.file("baselines/glue").write_text(text)
    beating.record()
    assert beating.gate() == 2
    assert said in capsys.readouterr().err
    assert beating.gate("--task", "clm") == 0


def test_a_baseline_edited_by_hand(beating, capsys):
    beating.file("baselines/glue").write_text(json.dumps(SIMPLE | {"bag_of_words_accuracy": 0.1}))
    assert beating.gate() == 2
    assert "metrics/baselines/glue.json: differs from what dvc.lock" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"beats": "majority"}, "beats is 'majority'; expected one of baseline"),
        ({"beats": True}, "beats is True; expected one of baseline"),
        ({"min": 0.8, "margin": 0.1}, "margin: needs `beats: baseline` beside it"),
        ({"beats": "baseline", "margin": -1}, "margin is -1; expected a number of 0 or more"),
        ({"beats": "baseline", "margin": "2"}, "margin is '2'; expected a number of 0 or more"),
        ({"beats": "baseline", "min": 0.1, "max": 1}, "beats between a min and a max needs"),
    ],
)
def test_badly_written(beating, capsys, spec, said):
    beating.params["gates"]["glue"]["eval_accuracy"] = spec
    beating.write()
    assert beating.gate() == 2
    assert said in capsys.readouterr().err


def test_it_is_shown_without_being_held(repository, capsys):
    repository.metrics["baselines/glue"] = SIMPLE | {"bag_of_words_accuracy": 0.99}
    repository.write()
    assert repository.gate() == 0
    shown = capsys.readouterr()
    assert ">= 0.8  0.99 (bag_of_words)" in shown.out
    line = "glue: eval_accuracy 0.9 is no better than the baseline 0.99 (bag_of_words)"
    assert f"warning: {line}\n" in shown.err
    repository.gate("--json")
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    (one,) = [one for one in verdicts if one["metric"] == "eval_accuracy"]
    assert (one["beats"], one["baseline"], one["baseline_method"]) == (None, 0.99, "bag_of_words")
    # It is nobody's gate that it cannot be read.
    repository.file("baselines/glue").write_text("{")
    repository.record()
    assert repository.gate() == 0


def test_whose_figure_it_is():
    """The longest name of the model's decides: `lookup_LOC_f1` is the F1 of LOC."""
    metrics = ["eval_f1", "eval_LOC_f1", "eval_wer", "eval_wer_raw", "eval_perplexity"]
    found = {
        "lookup_f1": 0.3, "lookup_LOC_f1": 0.9, "nearest_wer": 0.8, "nearest_wer_raw": 0.7,
        "most_frequent_wer": 0.9, "unigram_eval_perplexity": 230.0,
        "trigram_eval_perplexity": 68.0,
    }  # fmt: skip

    def best(metric: str, gate: Gate = NO_GATE):
        return best_baseline(metric, gate, found, metrics)

    assert best("eval_f1") == ("lookup", 0.3)
    assert best("eval_LOC_f1") == ("lookup", 0.9)
    assert best("eval_wer") == ("nearest", 0.8)
    assert best("eval_wer_raw") == ("nearest", 0.7)
    assert best("eval_perplexity") == ("trigram", 68.0)
    assert best("eval_perplexity", Gate(min=1)) == ("unigram", 230.0)
    assert best("eval_accuracy") is None
    assert best_baseline("test_f1", NO_GATE, found, ["test_f1", "test_LOC_f1"]) == ("lookup", 0.3)


# Loosening


LOOSER = [
    ({"min": 0.1}, "beats baseline -> none"),
    ({"beats": "baseline"}, "margin 0.02 -> none"),
    ({"beats": "baseline", "margin": 0.01}, "margin 0.02 -> 0.01"),
    ({"beats": "baseline", "margin": "50%"}, "margin 0.02 -> 50%"),
    ({"beats": "baseline", "margin": 0.02, "better": "lower"}, "better higher -> lower"),
    ({"beats": "baseline", "margin": 0.02, "max": 1}, "better higher -> lower"),
]


@pytest.mark.parametrize(("spec", "change"), LOOSER)
def test_a_looser_gate_is_named(beating, capsys, spec, change):
    set_accuracy(beating, 0.9, margin=0.02)
    beating.commit()
    beating.params["gates"]["glue"]["eval_accuracy"] = spec
    beating.write()
    beating.gate("--base", "main")
    assert f"warning: loosened: glue.eval_accuracy {change}\n" in capsys.readouterr().err
    assert beating.gate("--base", "main", "--strict") == 1
    assert f"'- glue.eval_accuracy {change}'" in capsys.readouterr().err


@pytest.mark.parametrize("margin", [0.02, 0.03, "5%"])
def test_a_tighter_gate_is_not(beating, capsys, margin):
    if margin == 0.03:
        set_accuracy(beating, 0.9, margin=0.02)
        beating.commit()
    set_accuracy(beating, 0.9, margin=margin)
    assert beating.gate("--base", "main", "--strict") == 0, capsys.readouterr().err


def test_a_baseline_that_was_made_worse(beating, capsys):
    """Else a change of the simple method would lower the bar."""
    set_accuracy(beating, 0.6)
    beating.metrics["baselines/glue"]["bag_of_words_accuracy"] = 0.55
    beating.write()
    assert beating.gate() == 0
    assert beating.gate("--base", "main") == 0
    line = "glue.eval_accuracy baseline 0.85 -> 0.55"
    assert f"warning: loosened: {line}\n" in capsys.readouterr().err
    assert beating.gate("--base", "main", "--strict") == 1
    beating.params["gates"]["loosened"] = [line]
    beating.write()
    assert beating.gate("--base", "main", "--strict") == 0
    # Within the metric's tolerance, or better, it is no matter.
    beating.params["gates"]["loosened"] = []
    set_accuracy(beating, 0.95, tolerance=0.1)
    beating.metrics["baselines/glue"]["bag_of_words_accuracy"] = 0.8
    beating.write()
    assert beating.gate("--base", "main", "--strict") == 0
    beating.metrics["baselines/glue"]["bag_of_words_accuracy"] = 0.9
    beating.write()
    assert beating.gate("--base", "main", "--strict") == 0


def test_another_metric_takes_no_baseline_away(beating, capsys):
    """`eval_words_accuracy` makes `bag_of` of the method: the bar falls, and that is named."""
    beating.metrics["glue"]["eval_words_accuracy"] = 1
    set_accuracy(beating, 0.6)
    assert beating.gate() == 0
    assert beating.gate("--base", "main", "--strict") == 1
    assert "glue.eval_accuracy baseline 0.85 -> 0.5" in capsys.readouterr().err
