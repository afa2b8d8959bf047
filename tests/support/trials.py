"""Data that nobody here wrote, from `make new` to a finished table: which, and the figures seen.

`tests/real/own_data.py` runs them and keeps the figures in docs/own-data.json; the table of
docs/own-data.md is written from there (`results_tables.py`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stages.core.params import read_params
from stages.core.text_table import markdown_table
from stages.pipeline.simple_methods import judged_metrics, read_baselines
from support.paths import ROOT

FIGURES = ROOT / "docs/own-data.json"
HEADER = ("task", "data", "rows", "model", "steps", "minutes", "metric", "result", "baseline")
FROM_SCRATCH = "new"


class Trial(NamedTuple):
    """What `make new` is given.

    data: a folder, by its name.
    flags: `ARGS`.
    model: a folder of weights, by its name; None for a new model.
    """

    task: str
    data: str
    flags: tuple[str, ...] = ()
    model: str | None = None


_PAIRS = (
    "--text_column_name=column1",
    "--text_pair_column_name=column2",
    "--label_column_name=column3",
)
_TEST_FILE = ("--test_file=emerging.test.annotated",)
# By the name of the profile; in the order of the table.
TRIALS = {
    "pawsx": Trial("glue", "pawsx", _PAIRS),
    "wnut17": Trial("ner", "wnut17", _TEST_FILE),
    "squad": Trial("qa", "squad_v2"),
    "gutenberg-clm": Trial("clm", "gutenberg"),
    "gutenberg-mlm": Trial("mlm", "gutenberg"),
    "gutenberg-t5": Trial("t5_mlm", "gutenberg"),
    "scitldr": Trial(
        "summarization", "scitldr", ("--text_column=source", "--summary_column=target")
    ),
    "fsdd": Trial("speech", "fsdd", ("--name_part=1",)),
    "pawsx-model": Trial("glue", "pawsx", _PAIRS, "all-MiniLM-L6-v2"),
    "wnut17-model": Trial("ner", "wnut17", _TEST_FILE, "rampart-ner"),
    "ljspeech-model": Trial("speech", "ljspeech", (), "whisper-tiny.en"),
}


def measured(trial: Trial, profile: Path, seconds: float) -> dict:
    """The figures of a finished profile, as they are kept.

    Args:
        trial: what the profile was made with.
        profile: its folder, after `make repro`.
        seconds: that `make repro` took.
    """
    params = read_params(profile / "params.yaml")
    baselines, worse = read_baselines(profile)
    (metric,) = judged_metrics(params, trial.task)
    best = baselines[trial.task, metric]
    figures = json.loads((profile / f"metrics/{trial.task}.json").read_text(encoding="utf-8"))
    rows = {
        path.stem: len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((profile / "source").glob("*.jsonl"))
    }
    return {
        "rows": [rows[split] for split in ("train", "validation", "test")],
        "steps": [block["max_steps"] for block in params["tasks"].values()],
        "minutes": round(seconds / 60, 1),
        "metric": metric,
        "result": figures[metric],
        "baseline": best.value,
        "method": best.method,
        "above": not any(line.startswith(f"{trial.task}: {metric} ") for line in worse),
    }


def table(figures: Mapping[str, dict]) -> str:
    """The Markdown table of figures by profile; those above their baseline are in bold."""
    lines = []
    for name, trial in TRIALS.items():
        one = figures.get(name)
        if one is None:
            continue
        result = f"{one['result']:.3g}"
        lines.append(
            [
                f"`{trial.task}`",
                f"{trial.data} `{' '.join(trial.flags)}`" if trial.flags else trial.data,
                " / ".join(f"{count:,}" for count in one["rows"]),
                trial.model or FROM_SCRATCH,
                " + ".join(map(str, one["steps"])),
                f"{one['minutes']:.0f}",
                one["metric"].partition("_")[2],
                f"**{result}**" if one["above"] else f"{result}, no better",
                f"{one['baseline']:.3g} ({one['method'].replace('_', ' ')})",
            ]
        )
    return markdown_table(HEADER, lines) + "\n\n" + _count(figures)


def _count(figures: Mapping[str, dict]) -> str:
    """How many figures are above their baselines, and where they were measured."""
    parts = []
    for kind, own in (("a new model", False), ("a checkpoint", True)):
        names = [name for name in figures if bool(TRIALS[name].model) is own]
        if names:
            above = sum(figures[name]["above"] for name in names)
            parts.append(f"{above} of {len(names)} with {kind}")
    where = ", ".join(sorted({one["processor"] for one in figures.values()}))
    return f"Better than the baseline: {', '.join(parts)}. Measured on {where}."
