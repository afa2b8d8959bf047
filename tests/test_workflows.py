"""What CI may do, with which keys, and that it judges the figures that it measures."""

import json
import re
import shutil
import sys

import pytest
import yaml
from support.gated_repository import GatedRepository
from support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SECRET = re.compile(r"secrets\.(\w+)")


def jobs(path) -> dict:
    return yaml.safe_load(path.read_text())["jobs"]


def steps(path) -> list[dict]:
    return [step for job in jobs(path).values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_keep_no_token(path):
    used = [step for step in steps(path) if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    # The version stands in a comment, and one version has one commit.
    named = re.findall(r"uses: (\S+) # (v[\d.]+)$", path.read_text(), re.MULTILINE)
    assert len(named) == len(used)
    assert len({name for name, _ in named}) == len({*named})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_keys_stand_in_the_steps_that_need_them(path):
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in content[True]  # YAML's `on`
    for job in jobs(path).values():
        outside = {name: value for name, value in job.items() if name != "steps"}
        assert not SECRET.search(str(outside))
        for step in job["steps"]:
            keys = {*SECRET.findall(str(step))}
            if keys:
                assert "uses" not in step
                assert re.search(r"--pull|dvc pull|make push", step["run"]), step
                writes = any("WRITE" in key for key in keys)
                assert writes == ("make push" in step["run"])
            # A name of a branch is data: it reaches the shell as a variable.
            assert "${{" not in step.get("run", "")


def test_only_main_pushes_and_only_after_its_gate_held():
    path = ROOT / ".github/workflows/pipeline.yml"
    runs = [step.get("run", "") for step in steps(path)]
    (push,) = [number for number, line in enumerate(runs) if "push" in line]
    (gate,) = [number for number, line in enumerate(runs) if " gate " in line]
    assert gate < push
    condition = steps(path)[push]["if"]
    assert condition == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    assert "continue-on-error" not in path.read_text()
    assert "--strict" in runs[gate]


MAKE = """#!/bin/sh
# make, as far as CI calls it: a run measures $MEASURED.
for word in "$@"; do case "$word" in BASE=*|ARGS=*) export "$word";; esac; done
case "$1" in
  repro) "{python}" -c 'import measure' ;;
  gate) exec "{python}" -m stages.gate ${{BASE:+--base "$BASE"}} $ARGS ;;
esac
"""
MEASURE = """import os
from pathlib import Path
from support.gated_repository import GatedRepository

repository = GatedRepository.__new__(GatedRepository)
repository.folder = Path()
repository.data = {}
metrics = '{"eval_accuracy": %s, "eval_loss": 0.5}' % os.environ["MEASURED"]
repository.file("glue").write_text(metrics)
repository.record()
"""


@pytest.fixture
def checkout(tmp_path):
    """A pull request whose figures are those of main, with the commands that CI calls."""
    repository = GatedRepository(tmp_path / "work")
    folder, tools = repository.folder, tmp_path / "tools"
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    tools.mkdir()
    (tools / "make").write_text(MAKE.format(python=sys.executable))
    (tools / "make").chmod(0o755)
    (tools / "measure.py").write_text(MEASURE)
    path = f"{tools}:{repository.environment['PATH']}"
    modules = f"{tools}:{ROOT}:{ROOT / 'tests'}"
    repository.environment |= {"PATH": path, "PYTHONPATH": modules}
    return repository


def ci(repository, measured: float, **environment: str):
    """The commands of `ci.yml` in its order, as a pull request's."""
    lines = [step["run"] for step in jobs(ROOT / ".github/workflows/ci.yml")["run"]["steps"]
             if "run" in step]  # fmt: skip
    repository.environment.pop("GITHUB_BASE_REF", None)
    repository.environment |= {"MEASURED": str(measured), **environment}
    return repository.call("bash", "-ec", "\n".join(lines), check=False)


@pytest.mark.parametrize(
    ("measured", "status", "said"),
    [
        (0.9, 0, ""),
        (0.85, 0, ""),
        (0.79, 1, "0.79 is below min 0.8"),
        (1.05, 0, "1.05 is more than 0.1 above the committed figure, 0.9"),
    ],
)
def test_what_the_run_measured_is_held_to_the_base(checkout, measured, status, said):
    done = ci(checkout, measured, GITHUB_BASE_REF="main")
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stderr


def test_a_regression_that_only_the_run_shows(checkout):
    checkout.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.5, "tolerance": 0.1}
    checkout.write()
    checkout.commit()
    checkout.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert checkout.gate("--base", "origin/main", "--strict") == 0
    done = ci(checkout, 0.79, GITHUB_BASE_REF="main")
    assert done.returncode == 1
    assert "eval_accuracy regressed: 0.79 is more than 0.1 below the base, 0.9" in done.stderr
    assert "0.79 is more than 0.1 below the committed figure, 0.9" in done.stderr


@pytest.mark.parametrize("base", [None, "", "origin/main"])
def test_the_script_by_hand(checkout, base):
    """Without a base it holds the gates alone, in a clone that may have no other branch."""
    if base is None:
        checkout.git("update-ref", "-d", "refs/remotes/origin/main")
    checkout.environment |= {"MEASURED": "0.85"} | ({} if base is None else {"BASE": base})
    checkout.environment.pop("GITHUB_BASE_REF", None)
    done = checkout.call(".ci/run", check=False)
    assert done.returncode == 0, done.stderr
    assert ("tolerance" in done.stdout) == bool(base)


def test_a_gate_is_not_loosened_in_passing(checkout):
    checkout.params["gates"]["glue"]["eval_accuracy"]["min"] = 0.7
    checkout.write()
    checkout.commit()
    done = ci(checkout, 0.9, GITHUB_BASE_REF="main")
    assert done.returncode == 1
    assert "'- glue.eval_accuracy min 0.8 -> 0.7'" in done.stderr
    assert json.loads(checkout.file("glue").read_text())["eval_loss"] == 0.5  # no run was needed
