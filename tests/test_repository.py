"""What the repository holds fits together: pipeline, parameters, gates, figures and versions."""

import configparser
import csv
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from support.paths import ROOT
from support.repository import Repository

from stages.gate.schema import LOOSENED

PROJECTS = (".", "profiles/huggingface")
LARGEST = 512 * 1024


def read(name: str):
    return yaml.safe_load((ROOT / name).read_text())


def git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if not (ROOT / ".git").exists():
        pytest.skip("not a Git checkout")
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def outputs(project: str) -> list:
    with Repo(str(ROOT / project)) as repo:
        return [out for stage in repo.index.stages for out in stage.outs]


def test_nothing_large_is_committed():
    sizes = {
        name: (ROOT / name).stat().st_size for name in git("ls-files") if (ROOT / name).is_file()
    }
    assert len(sizes) > 100
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}


@pytest.mark.parametrize("project", PROJECTS)
def test_git_ignores_what_dvc_keeps_and_holds_the_rest(project):
    """`git add --all` after a run adds figures and curves, and no model, data or prediction."""
    kept, held = [], []
    for out in outputs(project):
        name = str(Path(out.fs_path).relative_to(ROOT))
        (kept if out.use_cache else held).append(name)
    assert {Path(name).parent.name for name in kept} >= {"data", "models", "results"}
    assert {Path(name).parent.name for name in held} >= {"metrics", "plots"}
    # A folder is ignored by a pattern for folders, which Git asks the name for.
    names = [f"{name}/x" for name in kept]
    assert git("check-ignore", "--no-index", *names) == names
    assert git("check-ignore", "--no-index", *held) == []


@pytest.mark.parametrize("folder", ["checkpoints", "profiles/reviews/checkpoints"])
def test_git_holds_what_shares_a_checkpoint(folder):
    """`dvc add` writes the file beside the checkpoint, and no .gitignore of its own."""
    names = [f"{folder}/mine/x", f"{folder}/mine.dvc"]
    assert git("check-ignore", "--no-index", *names) == names[:1]


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "runs.part"])
def test_git_ignores_what_a_run_leaves_besides(name):
    paths = [f"runs/clm/checkpoints/0/1/{name}", f"profiles/huggingface/runs/clm/{name}"]
    assert git("check-ignore", "--no-index", *paths) == paths


@pytest.mark.parametrize(
    "name",
    [
        "report.html.part",
        ".report.html.123.part",
        "metrics/.glue.json.9.part",
        "code/.train.part/",
        "profiles/huggingface/.report.html.1.part",
    ],
)
def test_git_ignores_what_a_killed_process_leaves(name):
    assert git("check-ignore", "--no-index", name) == [name]


def test_git_converts_no_line_ends():
    """Every file keeps its bytes, whatever core.autocrlf says."""
    names = git("ls-files")
    lines = git("check-attr", "text", "--", *names)
    assert {line.rpartition(": ")[2] for line in lines} == {"unset"}


@pytest.mark.parametrize("option", ["core.autocrlf=true", "core.eol=crlf", "core.autocrlf=input"])
def test_a_clone_has_the_bytes_of_the_commit(tmp_path, option):
    for name in ("metrics/glue.json", "code/versions.json", "requirements.lock", ".gitattributes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    repository = Repository(tmp_path)
    repository.git("init", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "run")
    repository.git("clone", "-q", "-c", option, ".", "clone")
    for name in ("metrics/glue.json", "code/versions.json", "requirements.lock"):
        assert (tmp_path / "clone" / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize("project", PROJECTS)
def test_tasks_gates_and_stages_are_of_the_same_names(project):
    params, unrolled = read(f"{project}/params.yaml"), read(f"{project}/tasks.yaml")["unrolled"]
    gated = set(params["gates"]) - {LOOSENED}
    assert set(params["tasks"]) == set(unrolled["tasks"]) == gated


def test_figures_are_those_of_the_pipeline():
    """A file for each task, which DVC knows as a metric; each gate names a figure in it."""
    params = read("params.yaml")
    names = {str(Path(out.fs_path).relative_to(ROOT)) for out in outputs(".") if out.metric}
    for task, gates in params["gates"].items():
        if task == LOOSENED:
            continue
        assert f"metrics/{task}.json" in names
        figures = json.loads((ROOT / f"metrics/{task}.json").read_text())
        for metric in gates:
            assert isinstance(figures[metric], int | float), f"{task}: {metric}"
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "metrics").rglob("*.json")}
    assert there == names


def test_curves_have_what_the_plots_draw():
    for plot in read("plots/dvc.yaml")["plots"]:
        ((_, content),) = plot.items()
        for file, columns in content["y"].items():
            with (ROOT / "plots" / file).open(encoding="utf-8") as lines:
                header = next(csv.reader(lines))
            wanted = [columns] if isinstance(columns, str) else columns
            assert {content["x"], *wanted} <= set(header), file


def pins(lock: str) -> dict[str, str]:
    """{package: version} of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), re.M))


def test_versions_are_those_of_the_lock():
    locked = pins("requirements.lock")
    found = json.loads((ROOT / "versions.json").read_text())
    assert found == {name: locked[name] for name in found}
    assert {"jax", "flax", "optax", "transformers"} <= set(found)


@pytest.mark.parametrize("lock", ["requirements-build.lock", "requirements-remote.lock"])
def test_the_locks_agree(lock):
    """The second to be installed would replace what the first one did."""
    locked, other = pins("requirements.lock"), pins(lock)
    common = locked.keys() & other.keys()
    assert len(common) > 1
    assert {name: other[name] for name in common} == {name: locked[name] for name in common}


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize(("project", "edit"), list(zip(PROJECTS, "aw", strict=True)))
def test_an_edit_in_place_leaves_the_cache_as_it_was(project, edit, tmp_path):
    """By root too, and after a chmod: what is checked out is no link into the cache."""
    clone = Repository(tmp_path)
    clone.git("init", "--quiet")
    clone.dvc("init", "--quiet")
    (tmp_path / ".dvc/config").write_bytes((ROOT / project / ".dvc/config").read_bytes())
    stage = {"cmd": "mkdir data && echo made > data/x", "outs": ["data"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"make": stage}}))
    clone.dvc("repro", "--quiet")
    for _ in range(2):  # as the stage left it, and as a checkout brought it
        file = tmp_path / "data/x"
        file.chmod(0o644)
        with file.open(edit) as opened:
            opened.write("edited by hand\n")
        assert clone.dvc("status", "--quiet", check=False).returncode == 1
        clone.dvc("checkout", "--force", "--quiet")
        assert file.read_text() == "made\n"


@pytest.mark.parametrize("project", PROJECTS)
def test_what_is_checked_out_is_no_link(project):
    config = configparser.ConfigParser()
    config.read(ROOT / project / ".dvc/config")
    assert config["cache"]["type"] == '"reflink,copy"'
