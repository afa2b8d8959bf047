"""`check` and `plan@TASK` under a bare `dvc repro`: they refuse before anything made is gone."""

import json
import re

import pytest
import yaml
from support import scripts
from support.tiny_project import Project

from stages.pipeline.model_types import beginning
from stages.pipeline.repro import plans_first

CHAIN = {
    "mlm": {"model_name_or_path": "models/start/encoder"},
    "qa": {"model_name_or_path": "models/mlm"},
    "glue": {"model_name_or_path": "models/qa"},
    "other": {"model_name_or_path": "models/qa", "tokenizer_name": "mine"},
    "last": {"model_name_or_path": "models/other"},
    "mine": {"model_name_or_path": "models/elsewhere"},
}


@pytest.mark.parametrize(
    ("task", "found"),
    [("mlm", "models/start/encoder"), ("glue", "models/start/encoder"), ("last", "models/other"),
     ("other", "models/start/encoder"), ("mine", "models/elsewhere")],
)  # fmt: skip
def test_the_folder_that_a_task_is_planned_from(task, found):
    assert beginning(task, {"tasks": CHAIN}) == found


def test_all_is_planned_before_anything_is_trained():
    needs = {
        "code": set(),
        "plan@a": {"code"},
        "train@a": {"plan@a"},
        "plan@b": {"train@a"},  # of a model that only training makes
        "train@b": {"plan@b", "train@a"},
        "plan@c": {"code"},
        "train@c": {"plan@c"},
        "train-seed@c-7": {"plan@c"},
        "baseline@c": {"code"},
    }
    found = plans_first(needs)
    assert found["train@a"] == found["train@c"] == found["train-seed@c-7"] == {"plan@a", "plan@c"}
    assert found["train@b"] == {"plan@a", "plan@b", "plan@c", "train@a"}
    assert {stage: found[stage] for stage in ("code", "plan@b", "baseline@c")} == {
        stage: needs[stage] for stage in ("code", "plan@b", "baseline@c")
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory, files, checkpoint):
    """A project whose `train@glue` ran, by DVC alone."""
    made = Project(tmp_path_factory.mktemp("plan") / "project", files, checkpoint())
    made.params["seeds"] = {}
    write(made)
    # Of the newsroom nothing is read here, and the parameter file has no sizes of it.
    pipeline = yaml.safe_load((made.folder / "dvc.yaml").read_text())
    for name in ("newsroom", "newsroom-speech"):
        del pipeline["stages"][name]
    (made.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    assert made.run("stages.pipeline.unroll").returncode == 0
    done = made.run("dvc", "repro", "train@glue")
    assert done.returncode == 0, done.stdout + done.stderr
    made.ran = running(done)
    made.plan = json.loads((made.folder / "plans/glue.json").read_text())
    return made


def write(project, **changes) -> None:
    """Its params.yaml, with other settings of glue; None takes a key away."""
    block = {**project.params["tasks"]["glue"], **changes}
    block = {key: value for key, value in block.items() if value is not None}
    params = {**project.params, "tasks": {"glue": block}}
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params))


def running(done) -> list[str]:
    return re.findall("Running stage '(.*)'", done.stdout)


def made(project) -> dict[str, bytes]:
    """What the stages made."""
    folders = ("data", "models", "plots", "code")
    return {
        f"{name}/{path}": content
        for name in folders
        for path, content in scripts.tree(project.folder / name).items()
    }


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("target", [(), ("train@glue",)])
@pytest.mark.parametrize(
    ("changes", "stopped", "said"),
    [
        ({"learnin_rate": 1}, "check", "tasks.glue: unknown key 'learnin_rate'; did you mean"),
        ({"max_steps": None, "warmup_steps": 500}, "plan@glue",
         "params.yaml: tasks.glue.warmup_steps is 500, but the training has 6 steps"),
        ({"label_names": "same,third"}, "plan@glue", "the label 'other' is none of those known"),
    ],
)  # fmt: skip
def test_what_was_made_stays(project, target, changes, stopped, said):
    """A bare `dvc repro`, of all or of one stage, runs nothing but what refuses."""
    before = made(project)
    assert before
    write(project, **changes)
    try:
        done = project.run("dvc", "repro", *target)
    finally:
        write(project)
    assert done.returncode != 0
    assert said in done.stderr
    ran = running(done)
    assert ran[-1] == stopped
    assert "train@glue" not in ran
    after = made(project)
    assert {name: after.get(name) for name in before} == before


@pytest.mark.slow(seconds=30)
def test_the_stages_in_their_order(project):
    assert project.ran.index("check") < project.ran.index("code")
    assert project.ran.index("fetch@glue") < project.ran.index("plan@glue")
    assert project.ran[-1] == "train@glue"
    plan = project.plan
    assert (plan["rows"], plan["steps"], plan["labels"]) == (7, 3, ["other", "same"])


@pytest.mark.slow(seconds=30)
def test_another_check_makes_no_training_stale(project):
    """What is no setting of the task changes neither the file of `check` nor the plan."""
    project.params["gates"] = {"glue": {"eval_accuracy": {"min": 0.1}}}
    try:
        write(project)
        done = project.run("dvc", "repro", "train@glue")
    finally:
        del project.params["gates"]
        write(project)
    assert done.returncode == 0, done.stderr
    assert running(done) == ["check"]
