"""`make exp`: of all columns of `dvc exp show` those that somebody compares experiments by."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.repository import Repository

from stages.core.errors import InputError
from stages.pipeline import experiments
from stages.pipeline.experiments import columns_to_drop, header, table

JUDGED = [("glue", "eval_accuracy"), ("ner", "eval_f1"), ("qa", "eval_f1"), ("mlm", "eval_x.y")]
SECTIONS = ("tasks", "newsroom")
PARAMS = {
    "tasks": {
        task: {"learning_rate": 0.1, "seed": 1} for task in ("glue", "ner", "qa", "summarization")
    },
    "gates": {
        "glue": {"eval_accuracy": {"min": 0.1}},
        "ner": {"eval_f1": {"min": 0.1}},
        "qa": {"eval_exact": {"min": 0.1}, "eval_f1": {"min": 0.1}},
    },
}
# A training: all its figures follow from its learning rates.
STAGE = """
import json, pathlib, yaml
tasks = yaml.safe_load(open("params.yaml"))["tasks"]
pathlib.Path("metrics").mkdir(exist_ok=True)
for task, values in tasks.items():
    names = ["accuracy", "f1", "exact", "loss", *(f"part{n}_f1" for n in range(30))]
    split = "test" if task == "summarization" else "eval"
    figures = {f"{split}_{name}": values["learning_rate"] / 3 for name in names}
    figures |= {f"{split}_rouge1": values["learning_rate"] * 3}
    json.dump(figures, open(f"metrics/{task}.json", "w"))
"""


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        ("Experiment", True),
        ("rev", True),
        ("Created", False),
        ("metrics/ner.json:eval_f1", True),
        ("metrics/ner.json:eval_f1_LOC", False),
        ("metrics/ner.json:eval_loss", False),
        ("metrics/clm.json:eval_f1", False),
        ("metrics/baselines/ner.json:eval_f1", False),
        ("eval_accuracy", True),
        ("eval_accuracy_place", False),
        ("eval_x.y", True),
        ("tasks.glue.learning_rate", True),
        ("params.yaml:tasks.glue.learning_rate", True),
        ("stages/run_qa.py", False),
        ("data/glue", False),
        ("models/mlm", False),
        ("versions.json", False),
        ("requirements.lock", False),
        ("newsroom.events.train", True),
    ],
)
def test_columns(column, kept):
    assert (re.match(columns_to_drop(SECTIONS, JUDGED), column) is None) == kept


@pytest.mark.parametrize(
    ("column", "title"),
    [
        ("metrics/ner.json:eval_f1", "ner\neval_f1"),
        ("eval_accuracy", "glue\neval_accuracy"),
        ("eval_x.y", "mlm\neval_x.y"),
        ("tasks.glue.learning_rate", "glue\nlearning_rate"),
        ("params.yaml:newsroom.events.train", "newsroom.events\ntrain"),
    ],
)
def test_titles(column, title):
    assert header(column, JUDGED) == title


def test_nothing_to_show():
    assert table("", JUDGED) == []
    same = "Experiment,rev,typ\n,workspace,baseline\n"
    assert table(same, JUDGED) == ["no parameter differs, and no metric that a model is judged by"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Two experiments with glue, and one with all tasks, after a first run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "train.py").write_text(STAGE)
    metrics = [{f"metrics/{task}.json": {"cache": False}} for task in PARAMS["tasks"]]
    stage = {"cmd": f"{sys.executable} train.py", "deps": ["train.py"],
             "params": ["tasks"], "metrics": metrics}  # fmt: skip
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    repository = Repository(folder)
    repository.git("init", "--quiet", "--initial-branch", "main")

    def dvc(*words: str) -> None:
        line = [sys.executable, "-m", "dvc", *words]
        subprocess.run(
            line, cwd=folder, env=repository.environment, check=True, capture_output=True
        )

    dvc("init", "--quiet")
    dvc("repro")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "first")
    for name, rate in (("faster", 0.2), ("slower", 0.05)):
        change = f"tasks.glue.learning_rate={rate}"
        dvc("exp", "run", "--quiet", "--name", name, "--set-param", change)
    return folder


def show(folder: Path, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "stages.pipeline.experiments", *words],
        cwd=folder, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.mark.slow(seconds=30)
def test_real_experiments(project):
    lines = show(project).splitlines()
    assert max(map(len, lines)) <= 120
    titles = [line.split() for line in lines[:2]]
    assert titles == [["experiment", "glue", "glue"], ["eval_accuracy", "learning_rate"]]
    found = sorted(line.split() for line in lines[2:])
    assert found == [
        ["-", "faster", "0.0666667", "0.2"],
        ["-", "slower", "0.0166667", "0.05"],
        ["main", "0.0333333", "0.1"],
        ["workspace", "0.0166667", "0.05"],
    ]
    assert [line[:2] for line in lines[-2:]] == ["- ", "- "]  # under their commit


@pytest.mark.slow(seconds=20)
def test_arguments_are_those_of_dvc(project):
    assert "tasks.glue.learning_rate" in show(project, "--csv").splitlines()[0]
    assert "[faster]" in show(project, "--md")
    assert "--sort-order" in show(project, "--help")
    ordered = show(project, "--sort-by", "tasks.glue.learning_rate").split()
    assert ordered.index("slower") < ordered.index("faster")
    said = show(project, "-n", "x", status=1)
    assert said == (
        "error: dvc exp show --only-changed -n x --csv: ERROR: argument -n/--num: invalid int "
        "value: 'x'\n"
    )


def test_what_dvc_refuses_keeps_its_reason(monkeypatch, capsys):
    def refuse(*words):
        raise InputError(f"dvc {' '.join(words)}: ERROR: no repository")

    monkeypatch.setattr(experiments, "run_dvc", refuse)
    monkeypatch.setattr(experiments, "read_judged", dict)
    monkeypatch.setattr(experiments, "read_params", lambda path: {"tasks": {}})
    with pytest.raises(SystemExit):
        experiments.main([])
    said = capsys.readouterr().err
    assert said == "error: dvc exp show --only-changed --csv: ERROR: no repository\n"
