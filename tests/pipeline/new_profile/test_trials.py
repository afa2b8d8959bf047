"""The figures of `make new` on real data: as a profile has them, and as the page shows them."""

import json

import yaml
from support import trials

TRIAL = trials.TRIALS["wnut17"]


def profile(folder, f1: float):
    """What a run leaves that is looked at."""
    params = {
        "tasks": {
            name: {"model_name_or_path": "models/x", "data": {"source": "source"}, "max_steps": 9}
            for name in ("mlm", "ner")
        },
        "gates": {"ner": {"eval_f1": {"beats": "baseline"}}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for split, count in (("train", 30), ("validation", 2), ("test", 1)):
        path = folder / f"source/{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}\n" * count)
    (folder / "metrics/baselines").mkdir(parents=True)
    (folder / "metrics/ner.json").write_text(json.dumps({"eval_f1": f1, "eval_loss": 1.0}))
    (folder / "metrics/baselines/ner.json").write_text(json.dumps({"lookup_f1": 0.25}))
    return folder


def test_figures_of_a_profile(tmp_path):
    found = trials.measured(TRIAL, profile(tmp_path, 0.3), 90)
    assert found == {
        "rows": [30, 2, 1],
        "steps": [9, 9],
        "minutes": 1.5,
        "metric": "eval_f1",
        "result": 0.3,
        "baseline": 0.25,
        "method": "lookup",
        "above": True,
    }


def test_a_figure_that_is_no_better_is_shown_so(tmp_path):
    found = trials.measured(TRIAL, profile(tmp_path, 0.25), 90)
    assert found["above"] is False
    row = trials.table({"wnut17": found | {"processor": "x"}}).splitlines()[2]
    assert "| 0.25, no better | 0.25 (lookup) |" in row
    assert "**" not in row


def test_the_table_counts_what_is_better(tmp_path):
    one = trials.measured(TRIAL, profile(tmp_path, 0.3), 90) | {"processor": "a processor"}
    figures = {
        "wnut17": one,
        "fsdd": one | {"above": False},
        "wnut17-model": one,
    }
    assert trials.table(figures).endswith(
        "\n\nBetter than the baseline: 1 of 2 with a new model, 1 of 1 with a checkpoint. "
        "Measured on a processor."
    )


def test_the_figures_that_are_kept_are_of_trials():
    figures = json.loads(trials.FIGURES.read_text(encoding="utf-8"))
    assert set(figures) <= set(trials.TRIALS)
    for name, one in figures.items():
        lower = one["metric"].endswith(("perplexity", "wer"))
        better = one["result"] < one["baseline"] if lower else one["result"] > one["baseline"]
        assert one["above"] is better, name
