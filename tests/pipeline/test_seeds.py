"""Repeats with further seeds: what is refused, mean and deviation by hand, a run through DVC."""

import contextlib
import json
import math
import re
import shlex
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from support import scripts
from support.paths import ROOT
from support.tiny_project import GLUE, Project

from stages.core.errors import InputError
from stages.gate import __main__ as gate
from stages.pipeline import check, seeds, unroll
from stages.pipeline.aggregate_seeds import aggregate_seeds
from stages.pipeline.summary import read_all_metrics

PARAMS = {"tasks": {"glue": {"model_name_or_path": "m", "seed": 1}, "clm": {}}}


# The list


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"gleu": [7]}, "p.yaml: seeds: unknown key 'gleu'; did you mean 'glue'?"),
        ([7], "p.yaml: seeds is not a mapping"),
        (None, "p.yaml: seeds is not a mapping"),
        ({"glue": 7}, "p.yaml: seeds.glue is 7; give a list of seeds, or take glue out"),
        ({"glue": []}, "p.yaml: seeds.glue is []; give a list of seeds, or take glue out"),
        ({"glue": None}, "p.yaml: seeds.glue is None; give a list"),
        ({"glue": [7, "8"]}, "p.yaml: seeds.glue: '8' is not a whole number"),
        ({"glue": [7.0]}, "p.yaml: seeds.glue: 7.0 is not a whole number"),
        ({"glue": [None]}, "p.yaml: seeds.glue: None is not a whole number"),
        ({"glue": [True]}, "p.yaml: seeds.glue is True; expected a whole number"),
        ({"glue": [-1]}, "p.yaml: seeds.glue is -1; expected a whole number, >= 0"),
        ({"glue": [2**31]}, "p.yaml: seeds.glue is 2147483648; expected a whole number, >= 0"),
        ({"glue": [7, 8, 7]}, "p.yaml: seeds.glue: 7 is there twice"),
        ({"glue": [7, 1]}, "p.yaml: seeds.glue: 1 is the seed of the main run"),
        ({"clm": [42]}, "p.yaml: seeds.clm: 42 is the seed of the main run"),  # by default
    ],
)
def test_a_list_that_cannot_be_used(written, said):
    with pytest.raises(InputError) as caught:
        seeds.read_seeds({**PARAMS, "seeds": written}, "p.yaml")
    assert said in str(caught.value)


def test_a_list_that_is_not_there():
    with pytest.raises(InputError, match=r"p\.yaml: seeds is missing; write `seeds: \{\}`"):
        seeds.read_seeds(PARAMS, "p.yaml")


def test_a_task_that_is_switched_off_keeps_its_list():
    """So that one line switches it off: its repeats do nothing, as its main run does."""
    params = {"tasks": {"glue": {"enabled": False}}, "seeds": {"glue": [7]}}
    assert seeds.read_seeds(params) == {"glue": [7]}
    assert aggregate_seeds({"a": {}, "b": {}}) == {"runs": 2}


def test_the_check_of_all_parameters_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["seeds"] = {"glue": [7, 7]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(InputError, match=r"seeds\.glue: 7 is there twice"):
        check.check_params()


# The file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with params.yaml and dvc.yaml, in which the command is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    write_params(tmp_path, {"glue": [7, 8]})
    return tmp_path


def write_params(folder: Path, listed: dict) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump({**params, "seeds": listed}))


def test_the_file_has_an_entry_for_each(folder):
    assert "seeds.yaml: written\n" in scripts.call("pipeline.unroll")
    found = yaml.safe_load((folder / "seeds.yaml").read_text())["repeats"]
    assert list(found) == ["glue-7", "glue-8"]
    task = unroll.read_unrolled()["tasks"]["glue"]
    assert found["glue-8"] == {**task, "model_name_or_path": "models/qa", "seed": 8}
    before = (folder / "seeds.yaml").stat()
    assert scripts.call("pipeline.unroll") == scripts.call("pipeline.unroll", "--check") == ""
    assert (folder / "seeds.yaml").stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_out_of_step_is_named(folder):
    scripts.call("pipeline.unroll")
    write_params(folder, {"glue": [8, 9], "qa": [7]})
    kept = (folder / "seeds.yaml").read_text()
    (folder / "seeds.yaml").write_text(kept.replace("models/qa", "models/other"))
    line = scripts.refused("pipeline.unroll", "--check")
    assert line == (
        "error: seeds.yaml: not what params.yaml asks for (lacks glue-9 qa-7, still has glue-7, "
        "has another glue-8); run `python -m stages.pipeline.unroll`, then again"
    )
    scripts.call("pipeline.unroll")
    assert scripts.call("pipeline.unroll", "--check") == ""


@pytest.mark.parametrize("content", [None, b"", b"<<<<<<< ours\nrepeats: {}\n", b"\xff", b"a: 1\n"])
def test_a_file_that_cannot_be_read_is_written_again(folder, content):
    scripts.call("pipeline.unroll")
    (folder / "seeds.yaml").unlink()
    if content is not None:
        (folder / "seeds.yaml").write_bytes(content)
    assert "lacks glue-7 glue-8" in scripts.refused("pipeline.unroll", "--check")
    scripts.call("pipeline.unroll")
    assert scripts.call("pipeline.unroll", "--check") == ""


@pytest.mark.parametrize("where", [ROOT, ROOT / "profiles/huggingface"])
def test_the_committed_files_are_in_step(where, monkeypatch):
    monkeypatch.chdir(where)
    unroll.check_files(unroll.files())


# Mean and deviation


def test_mean_and_deviation_by_hand():
    runs = {
        "metrics/glue.json": {"a": 0.5, "n": 40, "u": None},
        "metrics/seeds/glue/7.json": {"a": 0.75, "n": 40, "u": 1.0},
        "metrics/seeds/glue/8.json": {"a": 1.0, "n": 40, "u": 2.0},
    }
    found = aggregate_seeds(runs)
    assert found == {
        "runs": 3, "a_mean": 0.75, "a_std": 0.25, "n_mean": 40, "n_std": 0, "u_mean": None,
        "u_std": None,
    }  # fmt: skip
    assert aggregate_seeds(dict(reversed(runs.items()))) == found
    # Of two runs the deviation is their distance over the root of 2.
    two = aggregate_seeds({"x": {"a": 1}, "y": {"a": 3}})
    assert two["a_mean"] == 2
    assert two["a_std"] == math.sqrt(2)


def test_the_order_of_runs_does_not_matter_to_the_last_digit():
    values = [0.1, 0.2, 0.3, 1e16, -1e16, 0.7]
    one, other = (
        aggregate_seeds({str(place): {"a": value} for place, value in enumerate(listed)})
        for listed in (values, values[::-1])
    )
    assert one == other
    assert one["a_mean"] == pytest.approx(1.3 / 6, rel=1e-15)


def test_runs_of_two_versions():
    with pytest.raises(InputError, match=r"^y: no b, which x has"):
        aggregate_seeds({"x": {"a": 1, "b": 1}, "y": {"a": 1}})
    with pytest.raises(InputError, match=r"^x: no b, which y has"):
        aggregate_seeds({"x": {"a": 1}, "y": {"a": 1, "b": 1}})


def test_a_run_that_is_not_there(folder):
    scripts.call("pipeline.unroll")
    line = scripts.refused("pipeline.aggregate_seeds", "glue", "--output=o.json")
    assert line == "error: metrics/glue.json: No such file or directory; run `make repro`"
    line = scripts.refused("pipeline.aggregate_seeds", "qa", "--output=o.json")
    assert line == "error: params.yaml: no seeds.qa; list some"
    (folder / "metrics").mkdir()
    (folder / "metrics/glue.json").write_text('{"a": NaN}')
    assert "metrics/glue.json: not readable" in scripts.refused(
        "pipeline.aggregate_seeds", "glue", "--output=o.json"
    )
    # As a target by itself the stage runs without the check of the list.
    (folder / "seeds.yaml").write_text("repeats: {}\n")
    line = scripts.refused("pipeline.aggregate_seeds", "glue", "--output=o.json")
    assert line.startswith("error: seeds.yaml: not what params.yaml asks for (lacks glue-7")
    assert not (folder / "o.json").exists()


# Through DVC


@pytest.fixture(scope="module")
def project(tmp_path_factory, files, checkpoint):
    """The project after `dvc repro` of glue's one repeat.

    The main run was made in this process, where all is imported, and handed to DVC: half the time.
    """
    made = Project(tmp_path_factory.mktemp("seeds") / "project", files, checkpoint())
    main = ("check", "code", "versions", "fetch@glue", "plan@glue", "train@glue", "evaluate@glue")
    with contextlib.chdir(made.folder):
        scripts.call("pipeline.unroll")
        with Repo() as repo:
            made.commands = {stage.name: shlex.split(stage.cmd)[2:] for stage in repo.index.stages}
            for stage in main:
                call(made.commands[stage])
            for stage in main:
                repo.commit(stage, force=True)
    ran = made.run("dvc", "repro", "spread@glue")
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    made.ran = re.findall("Running stage '(.*)'", ran.stdout)
    return made


def call(command: list[str]) -> None:
    """A stage's command in this process, without what comes before `stages.NAME`."""
    name = command[0].removeprefix("stages.")
    if "--plan_file" not in command:
        scripts.call(name, *command[1:])
        return
    with pytest.raises(SystemExit) as stop:
        scripts.call(name, *command[1:])
    assert not stop.value.code


@pytest.mark.slow
def test_the_stages_that_run(project):
    assert sorted(project.ran) == ["evaluate-seed@glue-7", "spread@glue", "train-seed@glue-7"]
    assert json.loads(project.run("dvc", "status", "--json", "spread@glue", "-d").stdout) == {}


@pytest.mark.slow
def test_a_repeat_is_what_the_main_run_is_with_its_seed(project, tmp_path, monkeypatch):
    """The same bytes: the command of `train@glue` with `seed: 7` in the parameters."""
    params = {**project.params, "tasks": {"glue": {**GLUE, "seed": 7}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("start", "data"):
        (tmp_path / name).symlink_to(project.folder / name)
    monkeypatch.chdir(tmp_path)
    for stage in ("train@glue", "evaluate@glue"):
        call(project.commands[stage])
    ours, theirs = (
        scripts.tree(tmp_path / "models/glue"),
        scripts.tree(project.folder / "models/glue-7"),
    )
    # The card has its folder's name in the title and in the lines to copy.
    card = theirs["README.md"].replace(b"# glue-7: ", b"# glue: ")
    card = card.replace(b"models/glue-7", b"models/glue")
    assert ours == theirs | {"README.md": card}
    for name in ("plots", "results"):
        assert scripts.tree(tmp_path / name / "glue") == scripts.tree(
            project.folder / name / "glue-7"
        )
    found = json.loads((tmp_path / "metrics/glue.json").read_text())
    assert found == project.metrics("seeds/glue/7")
    main = scripts.tree(project.folder / "models/glue")
    assert main["model.safetensors"] != theirs["model.safetensors"]


@pytest.mark.slow
def test_the_metrics_of_all_runs(project):
    one, other = project.metrics("glue"), project.metrics("seeds/glue/7")
    found = project.metrics("seeds/glue")
    assert found == aggregate_seeds({"one": one, "other": other})
    assert found["runs"] == 2
    assert found["eval_loss_mean"] == pytest.approx((one["eval_loss"] + other["eval_loss"]) / 2)
    assert found["eval_loss_std"] > 0
    figures = read_all_metrics(project.folder / "metrics")
    assert figures["glue", "eval_loss_std"] == found["eval_loss_std"]
    assert figures["glue", "eval_loss"] == one["eval_loss"]
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").stdout)
    files = shown[""]["data"]
    assert {"metrics/glue.json", "metrics/seeds/glue.json"} <= files.keys()
    assert files["metrics/seeds/glue.json"]["data"] == found


def judged(project, **limits) -> int:
    """The gate's status with such a gate on glue's loss."""
    params = {**project.params, "gates": {"glue": {"eval_loss": limits}}}
    path = project.folder / "params.yaml"
    kept = path.read_text()
    try:
        path.write_text(yaml.safe_dump(params))
        return gate.main(["--repo-dir", str(project.folder), "--task", "glue"])
    finally:
        path.write_text(kept)


@pytest.mark.slow
def test_the_gate_on_what_a_run_made(project, capsys):
    found = project.metrics("seeds/glue")
    mean, std = found["eval_loss_mean"], found["eval_loss_std"]
    assert judged(project, max=mean + 2.01 * std, deviations=2) == 0
    assert judged(project, max=mean + 1.99 * std, deviations=2) == 1
    assert judged(project, min=mean - 2.01 * std, deviations=2) == 0
    assert judged(project, min=mean - 1.99 * std, deviations=2) == 1
    capsys.readouterr()
    path = project.folder / "metrics/seeds/glue.json"
    kept = path.read_bytes()
    try:
        path.write_text(json.dumps({**found, "eval_loss_std": 0.0}))
        assert judged(project, max=mean + std, deviations=2) == 2
        assert "metrics/seeds/glue.json: differs from what dvc.lock" in capsys.readouterr().err
        path.unlink()
        assert judged(project, max=mean + std, deviations=2) == 2
        assert "metrics/seeds/glue.json: missing; run `make repro`" in capsys.readouterr().err
        assert judged(project, max=1000) == 0
    finally:
        path.write_bytes(kept)


@pytest.mark.slow
def test_a_list_that_changed_stops_dvc_before_anything_runs(project):
    """`dvc repro` by itself, without make: one clear line, and nothing made earlier is gone."""
    before = scripts.tree(project.folder / "models")
    project.list_seeds([7, 8])
    try:
        stopped = project.run("dvc", "repro")
        assert stopped.returncode != 0
        assert re.findall("Running stage '(.*)'", stopped.stdout) == ["check"]
        assert "error: seeds.yaml: not what params.yaml asks for (lacks glue-8)" in stopped.stderr
        assert scripts.tree(project.folder / "models") == before
        # Then the new seed's stages are to run, and what runs over all of them.
        project.run("stages.pipeline.unroll")
        status = json.loads(project.run("dvc", "status", "--json").stdout)
        due = {name for name in status if name.endswith(("glue", "glue-7", "glue-8"))}
        due -= {"baseline@glue"}  # never run here
        assert due == {"train-seed@glue-8", "evaluate-seed@glue-8", "spread@glue"}
    finally:
        project.list_seeds([7])
        project.run("stages.pipeline.unroll")
