"""The life of a change, as a user lives it: branch, run, gate, merge; with a real repository."""

import json
import re

import pytest
from support import small_pipeline
from support.repository import Repository

OURS = ("clm", "mlm")
STAGES = [f"evaluate@{task}" for task in OURS]

RENAMED = """
    def renamed():
        metrics, predictions = evaluate()
        metrics["eval_ppl"] = metrics.pop("eval_perplexity")
        return Evaluation(metrics, predictions)

"""


def figure(project, task: str) -> float:
    return json.loads((project / f"metrics/{task}.json").read_text())["eval_perplexity"]


def run_and_commit(project, message: str) -> None:
    small_pipeline.repro(project, *STAGES)
    small_pipeline.commit(project, message)


@pytest.mark.slow(seconds=120)
def test_a_walk_over_branches(tmp_path):
    """main; a worse learning rate; a metric renamed; and two branches that both trained, merged."""
    project = small_pipeline.make_project(tmp_path / "project", max_steps=30, learning_rate=2e-3)
    repository = Repository(project)
    repository.call("make", "drivers")
    tasks = small_pipeline.params(project)["tasks"]
    gate = {"eval_perplexity": {"max": 1000, "tolerance": "5%"}}
    others = {task: {"enabled": False} for task in tasks if task not in OURS}
    small_pipeline.change_params(project, {"tasks": others, "gates": dict.fromkeys(OURS, gate)})
    run_and_commit(project, "The first figures")
    status, said = small_pipeline.run(project, "stages.gate")
    assert status == 0, said
    at_main = figure(project, "clm")

    # A branch that learns less. Its floor still holds; main's figure does not.
    small_pipeline.git(project, "switch", "--quiet", "--create", "slower")
    small_pipeline.change_params(project, {"tasks": {"clm": {"learning_rate": 1e-5}}})
    run_and_commit(project, "A lower learning rate")
    assert figure(project, "clm") > 1.05 * at_main
    assert small_pipeline.run(project, "stages.gate")[0] == 0
    status, said = small_pipeline.run(project, "stages.gate", "--base", "main")
    assert status == 1, said
    rows = [line.split() for line in said.splitlines() if line.endswith(" regressed")]
    assert [row[:2] for row in rows] == [["clm", "eval_perplexity"]]

    # A branch that calls the metric another name.
    small_pipeline.git(project, "switch", "--quiet", "--create", "renamed", "main")
    script = project / "stages/run_clm_flax.py"
    text = script.read_text()
    before = "    session.finish(args, evaluate=evaluate,"
    assert before in text
    script.write_text(text.replace(before, RENAMED + before.replace("=evaluate", "=renamed")))
    gates = {"eval_ppl": gate["eval_perplexity"], "eval_perplexity": None}
    small_pipeline.change_params(project, {"gates": {"clm": gates}})
    run_and_commit(project, "Another name")
    assert small_pipeline.run(project, "stages.gate")[0] == 0
    status, said = small_pipeline.run(project, "stages.gate", "--base", "main")
    assert status == 2, said
    assert "eval_perplexity" in said

    # Two that both trained, each its own task: what they ran is merged, and nothing runs again but
    # the check of a parameter file that neither had.
    small_pipeline.git(project, "switch", "--quiet", "--create", "other", "main")
    small_pipeline.change_params(project, {"tasks": {"mlm": {"learning_rate": 3e-3}}})
    run_and_commit(project, "Another rate for mlm")
    wanted = figure(project, "mlm")
    before = json.loads(small_pipeline.git(project, "show", "main:metrics/mlm.json"))
    assert wanted != before["eval_perplexity"]
    small_pipeline.git(project, "merge", "--quiet", "--no-edit", "slower")
    assert (figure(project, "mlm"), figure(project, "clm") > at_main) == (wanted, True)
    said = small_pipeline.repro(project, *STAGES)
    assert re.findall("Running stage '(.*)'", said) == ["check"]
    status, said = small_pipeline.run(project, "dvc", "status", "--quiet", "--with-deps", *STAGES)
    assert status == 0, said
    assert small_pipeline.git(project, "status", "--porcelain") == " M dvc.lock\n"
    small_pipeline.commit(project, "The check")

    # Two that both trained the same one: people decide on the input, `dvc repro` does the rest.
    small_pipeline.git(project, "switch", "--quiet", "--create", "faster", "main")
    small_pipeline.change_params(project, {"tasks": {"clm": {"learning_rate": 4e-3}}})
    run_and_commit(project, "A higher learning rate")
    merged = repository.git("merge", "--no-edit", "other", check=False)
    assert merged.returncode == 1, merged.stdout + merged.stderr
    assert small_pipeline.git(project, "diff", "--name-only", "--diff-filter=U").split() == [
        "params.yaml"
    ]
    small_pipeline.git(project, "checkout", "--ours", "params.yaml")
    small_pipeline.change_params(project, {"tasks": {"mlm": {"learning_rate": 3e-3}}})
    run_and_commit(project, "Merge, with the higher learning rate")
    status, said = small_pipeline.run(project, "dvc", "status", "--quiet", "--with-deps", *STAGES)
    assert status == 0, said
    assert figure(project, "mlm") == wanted
    assert figure(project, "clm") < at_main
    status, said = small_pipeline.run(project, "stages.gate", "--base", "main")
    assert status == 0, said
