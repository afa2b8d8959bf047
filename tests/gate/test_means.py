"""Gates on the mean over further seeds."""

import json

import pytest
import yaml


def test_the_mean_over_seeds_is_held(repeated, capsys):
    assert repeated.gate() == 0  # the bound itself
    shown = capsys.readouterr().out
    assert "mean - 2 std >= 0.8  0.9 (std 0.05)  holds" in shown
    repeated.metrics["glue"]["eval_accuracy"] = 0.7  # a run is one of them
    repeated.write()
    assert repeated.gate() == 0
    repeated.metrics["seeds/glue"]["eval_accuracy_std"] = 0.0501
    repeated.write()
    assert repeated.gate() == 1
    assert (
        "metrics/seeds/glue.json: eval_accuracy falls short: mean 0.9 - 2 x std 0.0501 = 0.7998 is "
        "below min 0.8"
    ) in capsys.readouterr().err
    assert repeated.gate("--json") == 1
    (one,) = [
        one
        for one in json.loads(capsys.readouterr().out)["verdicts"]
        if one["metric"] == "eval_accuracy"
    ]
    assert (one["value"], one["std"], one["deviations"]) == (0.9, 0.0501, 2)


@pytest.mark.parametrize(("deviations", "status"), [(0, 0), (1, 0), (2.5, 0), (2.6, 1)])
def test_a_mean_held_from_above(repeated, deviations, status):
    repeated.params["seeds"]["clm"] = [7]
    repeated.params["gates"]["clm"]["eval_perplexity"] = {"max": 20, "deviations": deviations}
    repeated.metrics["seeds/clm"] = {"eval_perplexity_mean": 10, "eval_perplexity_std": 4}
    repeated.write()
    assert repeated.gate() == status


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "metrics/seeds/glue.json: missing; run `make repro`"),
        ('{"eval_accuracy_mean": 0.9}', "eval_accuracy_std is missing; run `make repro`"),
        ('{"eval_accuracy_std": 0.0}', "eval_accuracy_mean is missing"),
        ('{"eval_accuracy_mean": 0.9, "eval_accuracy_std": null}', "std is no finite number but"),
        ('{"eval_accuracy_mean": 0.9, "eval_accuracy_std": NaN}', "NaN is not finite"),
    ],
)
def test_means_that_cannot_be_judged(repeated, capsys, content, said):
    repeated.file("seeds/glue").unlink()
    if content is not None:
        repeated.file("seeds/glue").write_text(content)
    repeated.record()
    assert repeated.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "metrics/seeds/glue.json" in error
    assert repeated.gate("--task", "clm") == 0


def test_means_edited_by_hand_or_left_over(repeated, capsys):
    kept = repeated.file("seeds/glue").read_text()
    repeated.file("seeds/glue").write_text(kept.replace("0.05", "0.01"))
    assert repeated.gate() == 2
    assert "metrics/seeds/glue.json: differs from what dvc.lock rec" in capsys.readouterr().err
    assert repeated.gate("--no-lock-check") == 0
    repeated.file("seeds/glue").write_text(kept)
    repeated.params["seeds"] = {}
    (repeated.folder / "params.yaml").write_text(yaml.safe_dump(repeated.params))
    assert repeated.gate() == 2
    assert "write `seeds: {glue: [7, 8]}` and run `make repro`" in capsys.readouterr().err


def test_means_beside_those_of_the_base(repeated, capsys):
    """Without a mean there, beside its one figure, 0.9; else like with like."""
    found = repeated.metrics["seeds/glue"]
    found |= {"eval_accuracy_mean": 0.81, "eval_accuracy_std": 0.001}
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    found["eval_accuracy_mean"] = 0.8
    repeated.params["gates"]["glue"]["eval_accuracy"] |= {"min": 0.5, "tolerance": 0.09}
    repeated.write()
    assert repeated.gate("--base", "main") == 1
    assert "0.8 is more than 0.09 below the base, 0.9" in capsys.readouterr().err
    repeated.commit()
    repeated.metrics["glue"]["eval_accuracy"] = 0.5
    found["eval_accuracy_mean"] = 0.71
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    found["eval_accuracy_mean"] = 0.70
    repeated.write()
    assert repeated.gate("--base", "main") == 1
    assert "0.7 is more than 0.09 below the base, 0.8" in capsys.readouterr().err
    repeated.file("seeds/glue").write_text("{")
    repeated.commit()
    repeated.write()
    assert repeated.gate("--base", "main") == 2
    assert "main:metrics/seeds/glue.json: not readable" in capsys.readouterr().err
