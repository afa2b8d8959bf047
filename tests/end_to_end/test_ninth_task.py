"""A ninth task, added with just the edits that CONTRIBUTING.md names, run up to its gate."""

import json
import re
import shutil

import pytest
import yaml
from support import small_pipeline
from support.paths import ROOT, TESTS

TOY = TESTS / "support" / "toy_task"
DATA = {"train": 400, "validation": 40, "test": 60}


def blocks() -> list[str]:
    """The code of the page's section, block by block, without its indentation."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    section = page.partition("## Adding a task\n")[2].partition("\n## ")[0]
    found = re.findall(r"^( *)```\w+\n(.*?)^ *```", section, re.M | re.S)
    return [re.sub(f"^{indent}", "", body, flags=re.M) for indent, body in found]


def block(start: str) -> str:
    """The one block that starts so."""
    (found,) = (one for one in blocks() if one.startswith(start))
    return found


@pytest.mark.parametrize(
    ("start", "file"),
    [
        ("class ToyArguments", "toy/arguments.py"),
        ("class Source", "toy/convert.py"),
        ("def measure", "toy/baseline.py"),
        ("@command", "run_toy.py"),
    ],
)
def test_the_page_shows_what_the_files_hold(start, file):
    lines = [line for line in block(start).splitlines() if line.strip()]
    assert len(lines) >= 2
    text = (TOY / file).read_text()
    assert [line for line in lines if line not in text] == []


def sentences(count: int) -> str:
    """Questions and statements of the same words, as a table."""
    rows = ["sentence,asks"]
    for number in range(count):
        name, place = f"name{number % 7}", f"place{number % 11}"
        asks = f"did {name} see the {place} ?,yes"
        rows.append(asks if number % 2 else f"{name} did see the {place} .,no")
    return "\n".join(rows) + "\n"


@pytest.mark.slow
def test_a_ninth_task_runs_up_to_its_gate(prepared_pipeline, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(prepared_pipeline, project, symlinks=True)
    before = (project / "dvc.yaml").read_text()

    # 1. The registry.
    registry = project / "stages/tasks/registry.py"
    entry = "".join(f"    {line}\n" for line in block('"toy": Task(').splitlines())
    registry.write_text(registry.read_text().replace("TASKS = {\n", "TASKS = {\n" + entry, 1))
    # 2. The folder, and 3. the script.
    shutil.copytree(TOY / "toy", project / "stages/tasks/toy")
    shutil.copy(TOY / "run_toy.py", project / "stages")
    # 4. Its data, and its blocks in params.yaml.
    (project / "toy_data").mkdir()
    for split, count in DATA.items():
        (project / f"toy_data/{split}.csv").write_text(sentences(count))
    changes = yaml.safe_load(block("tasks:"))
    assert changes.keys() == {"tasks", "gates"}
    small_pipeline.change_params(project, changes)

    for command in ("check", "unroll"):
        status, said = small_pipeline.run(project, f"stages.pipeline.{command}")
        assert status == 0, said
    said = small_pipeline.repro(project, "check", "evaluate@toy", "baseline@toy")
    ran = re.findall("Running stage '(.*)'", said)
    assert {"fetch@toy", "train@toy", "evaluate@toy", "baseline@toy"} <= set(ran)
    assert not {name for name in ran if name.startswith(("train@", "evaluate@"))} - {
        "train@toy", "evaluate@toy"
    }, ran  # fmt: skip
    assert (project / "dvc.yaml").read_text() == before
    figures = json.loads((project / "metrics/toy.json").read_text())
    assert figures["eval_samples"] == DATA["test"]
    assert json.loads((project / "metrics/baselines/toy.json").read_text()) == {
        "majority_accuracy": 0.5
    }
    listed = json.loads((project / "code/train/toy.json").read_text())
    assert {"stages/run_toy.py", "stages/tasks/toy/examples.py"} <= listed.keys()
    curves = yaml.safe_load((project / "plots/dvc.yaml").read_text())["plots"]
    assert "toy on validation" in {name for plot in curves for name in plot}

    gate = ("stages.gate", "--task", "toy")
    status, said = small_pipeline.run(project, *gate)
    assert status == 0, said
    assert "eval_accuracy" in said
    small_pipeline.change_params(project, {"gates": {"toy": {"eval_accuracy": {"min": 1.1}}}})
    status, said = small_pipeline.run(project, *gate)
    assert status == 1, said
    # Bad input of the new task fails as that of the others, and loses nothing.
    (project / "toy_data/train.csv").write_text("sentence,asks\nwho ?,perhaps\n")
    status, said = small_pipeline.run(project, "dvc", "repro", "fetch@toy")
    assert status != 0
    assert "train.csv, line 2: asks is 'perhaps'; write no or yes" in said
