"""Figures of another state of the project than the commit's: which stage is stale, and why."""

import shutil
import subprocess
import sys

import pytest
from support.gated_repository import GatedRepository
from support.recorded_project import FILES, RecordedProject

from stages.gate.__main__ import main
from stages.gate.tracked import Tracked


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    made = RecordedProject(tmp_path_factory.mktemp("recorded") / "work")
    made.make()
    return made.folder


@pytest.fixture
def project(recorded, tmp_path):
    shutil.copytree(recorded, tmp_path / "work")
    return RecordedProject(tmp_path / "work")


def test_a_run_of_this_very_state_holds(project, capsys):
    assert project.gate("--base", "main") == 0
    assert capsys.readouterr().err == ""


def test_a_clone_without_data_and_models_holds(project, tmp_path, capsys):
    clone = tmp_path / "clone"
    project.git("clone", "-q", str(project.folder), str(clone))
    assert main(["--repo-dir", str(clone)]) == 0
    assert capsys.readouterr().err == ""


def entry_of(lock: dict, stage: str, part: str, path: str) -> dict:
    return next(one for one in lock["stages"][stage][part] if one["path"] == path)


def set_md5(stage: str, part: str, path: str):
    return lambda lock: entry_of(lock, stage, part, path).update(md5="f" * 32)


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        # Parameters
        ("params.yaml", lambda p: p["tasks"]["glue"].update(rate=0.2),
         "train@glue is stale: params.yaml: tasks.glue.rate is 0.2, the run had 0.1;"),
        ("params.yaml", lambda p: p["tasks"]["glue"].update(more=1),
         "train@glue is stale: params.yaml: tasks.glue.more is new;"),
        ("params.yaml", lambda p: p["tasks"]["glue"].pop("warm"),
         "train@glue is stale: params.yaml: tasks.glue.warm is gone;"),
        ("params.yaml", lambda p: p["tasks"]["clm"]["data"].update(source="other"),
         "fetch@clm is stale: params.yaml: tasks.clm.data.source is 'other', the run had 'texts'"),
        ("params.yaml", lambda p: p["seeds"].update(glue=[7, 8]),
         "spread@glue is stale: params.yaml: seeds.glue is [7, 8], the run had [7];"),
        ("extra.yaml", lambda p: p.update(sizes=[1]),
         "train@clm is stale: extra.yaml: sizes is [1], the run had [1, 2];"),
        ("extra.yaml", lambda p: p.pop("sizes"), "train@clm is stale: extra.yaml: sizes is gone;"),
        # The pipeline's own text
        ("tasks.yaml", lambda p: p["tasks"]["glue"].update(flags="--warm"),
         "train@glue is stale: its command in dvc.yaml is another than the run's;"),
        ("dvc.yaml", lambda p: p["stages"]["evaluate"]["do"]["deps"].append("new"),
         "evaluate@clm is stale: the run recorded no new;"),
        ("dvc.yaml", lambda p: p["stages"]["evaluate"]["do"].update(params=["seeds"]),
         "evaluate@clm is stale: the run recorded no seeds of params.yaml;"),
        ("dvc.yaml", lambda p: p["stages"]["repeat"].update(outs=["more"]),
         "repeat is stale: the run recorded no more;"),
        ("dvc.yaml", lambda p: p["stages"]["train"]["do"].update(frozen=True, cmd="x"),
         "another than the run's; run `dvc unfreeze train@clm`, then `dvc repro`"),
        ("dvc.yaml", lambda p: p["stages"].pop("evaluate"),
         "metrics/clm.json: evaluate@clm of dvc.lock records it, and dvc.yaml has no stage that"),
        ("dvc.yaml", lambda p: p["stages"]["evaluate"]["do"].update(wdir="."),
         "has no stage that writes it (dvc.yaml: stages.evaluate: `wdir` is beyond what"),
        ("dvc.yaml", lambda p: p["stages"]["fetch"]["do"]["deps"].append("metrics/clm.json"),
         "dvc.yaml: a stage needs itself: "),
        # The lock
        ("dvc.lock", lambda p: p["stages"].pop("fetch@clm"),
         "fetch@clm is stale: it has no entry;"),
        ("dvc.lock", lambda p: p["stages"].pop("evaluate@clm"),
         "metrics/clm.json: no stage in dvc.lock records it"),
        ("dvc.lock", lambda p: p["stages"].update(x=p["stages"].pop("evaluate@clm")),
         "metrics/clm.json: x of dvc.lock records it, and dvc.yaml has evaluate@clm write it"),
        ("dvc.lock", lambda p: p["stages"].update(x=p["stages"]["fetch@clm"]),
         "fetch@clm is stale: dvc.lock records data/clm of x too; take one of the entries out;"),
        ("dvc.lock", lambda p: p["stages"]["fetch@clm"]["outs"].extend(
            [{"path": "./data/clm", "md5": "a"}]),
         "dvc.lock: fetch@clm records data/clm twice;"),
        ("dvc.lock", set_md5("train@glue", "deps", "models/clm"),
         "train@glue is stale: it read another models/clm than train@clm wrote;"),
        ("dvc.lock", set_md5("train@clm", "outs", "models/clm"),
         "train@glue is stale: it read another models/clm than train@clm wrote;"),
        ("dvc.lock", lambda p: p["stages"]["train@clm"]["params"].pop("params.yaml"),
         "train@clm is stale: the run recorded no tasks.clm of params.yaml;"),
        ("dvc.lock", lambda p: p["stages"]["train@clm"].update(params=[1]),
         "dvc.lock: the entry of train@clm is not DVC's"),
        ("texts.dvc", lambda p: p["outs"][0].update(md5="4567.dir"),
         "fetch@clm is stale: texts is another than the run read;"),
        ("texts.dvc", lambda p: p.clear(), "texts.dvc: names no md5; run `dvc add texts` again"),
    ],
)  # fmt: skip
def test_what_is_another_than_the_run_had(project, capsys, name, edit, said):
    project.change(name, edit)
    assert project.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert all(line.startswith(("error: ", "warning: ")) for line in error.splitlines())
    assert project.gate("--no-lock-check") == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("requirements.lock", "jax==2\n", "versions is stale: requirements.lock is another than"),
        ("versions.json", '{"jax": "2"}', "versions is stale: versions.json: differs from what"),
        ("reviews/train.csv", "b\n", "fetch@glue is stale: reviews is another than the run read"),
        ("reviews/more.csv", "b\n", "fetch@glue is stale: reviews is another than the run read"),
        ("start/inner/tokens.txt", "a\n", "train@clm is stale: start is another than the run read"),
        ("plots/glue/train.csv", "", "train@glue is stale: plots/glue: differs from what dvc.lock"),
        ("plots/glue/more.csv", "", "train@glue is stale: plots/glue: differs from what dvc.lock"),
        ("metrics/seeds/glue/7.json", "{}", "repeat is stale: metrics/seeds/glue/7.json: differs"),
        ("metrics/glue.json", "{}", "metrics/glue.json: differs from what dvc.lock records"),
        ("code/glue.json", "{}", "train@glue is stale: code/glue.json is another than the run"),
        ("stages/loop.py", "def train():\n    return 2\n",
         "train@clm is stale: stages/loop.py is another than code/clm.json has it"),
        ("stages/loop.py", "def train(:\n", "stages/loop.py, line 1: invalid syntax"),
        ("stages/loop.py", "from . import x\n", "stages/loop.py, line 1: a relative import"),
        ("stages/loop.py", "x = " + "-" * 3000 + "1\n", "stages/loop.py: "),
        ("stages/more.py", "", "stages/more.py is not among the modules that code/glue.json lists"),
        ("stages/loop/__init__.py", "", "stages/loop.py, which code/clm.json lists, is gone"),
        ("stages/words.txt", "two\n", "stages/words.txt is another than code/clm.json has it"),
        ("stages/more.txt", "two\n", "stages/more.txt is not among the modules"),
        ("stages/run_clm/__main__.py", "", "train@clm is stale: "),
    ],
)  # fmt: skip
def test_a_file_that_is_another_than_the_run_had(project, capsys, name, text, said):
    project.write(name, text)
    assert project.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plots/clm/train.csv", "train@clm is stale: plots/clm is missing"),
        ("versions.json", "versions is stale: versions.json is missing"),
        ("stages/run_clm.py", "stages/run_clm.py, which code/clm.json lists, is gone"),
        ("code/clm.json", "code/clm.json: missing; run `dvc repro code`"),
        ("dvc.yaml", "dvc.yaml: missing"),
        ("tasks.yaml", "tasks.yaml: missing; run `make unroll`"),
        ("extra.yaml", "extra.yaml: missing"),
    ],
)
def test_a_file_that_is_gone(project, capsys, name, said):
    (project.folder / name).unlink()
    assert project.gate() == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write("stages/loop.py", 'def train():\n    """More."""\n    return 1\n'),
        lambda p: p.write("stages/unused.py", "import os\n"),
        lambda p: p.write("start/new~", "DVC leaves it out"),
        lambda p: p.write("data/glue/train.csv", "another, and not Git's"),
        lambda p: p.change("params.yaml", lambda q: q["gates"]["clm"].update(eval_loss={"max": 3})),
        lambda p: p.change("params.yaml", lambda q: q["tasks"]["glue"].update(rate=1e-1)),
        lambda p: p.change("dvc.yaml", lambda q: q["stages"]["train"]["do"].update(desc="more")),
        lambda p: p.change("dvc.yaml", lambda q: q["stages"]["train"]["do"].update(frozen=True)),
        lambda p: p.change("dvc.yaml", lambda q: q["stages"].update(other={"matrix": {}})),
        lambda p: p.change("dvc.lock", lambda q: q["stages"].update(old={"cmd": "x"})),
    ],
)
def test_what_dvc_would_not_run_again_for(project, capsys, change):
    change(project)
    assert project.gate() == 0, capsys.readouterr().err


def test_the_stage_that_comes_first_is_named_and_each_task_has_its_own(project, capsys):
    project.change("params.yaml", lambda p: p["tasks"]["glue"].update(rate=0.2))
    project.write("reviews/train.csv", "b\n")
    assert project.gate("--task", "clm") == 0
    assert project.gate("--task", "glue") == 2
    shown = capsys.readouterr()
    assert "fetch@glue is stale" in shown.err
    assert "train@glue" not in shown.err
    project.write("start/config.json", "[]")
    assert project.gate() == 2
    assert capsys.readouterr().err.count("error: ") == 2  # fetch@glue, and train@clm for clm


def test_a_task_that_is_switched_off_is_not_held(project):
    project.change("params.yaml", lambda p: p["tasks"]["glue"].update(enabled=False, rate=1))
    assert project.gate() == 0
    project.change("params.yaml", lambda p: p["tasks"]["clm"].update(rate=1))
    assert project.gate() == 2


def test_a_source_that_git_has_not_is_told(project, capsys):
    (project.folder / "texts.dvc").unlink()
    assert project.gate() == 0
    assert "warning: fetch@clm read texts, which is not in Git" in capsys.readouterr().err


def test_sources_are_not_imported(project):
    project.write("stages/run_clm.py", "raise SystemExit('imported')\n")
    project.write("sitecustomize.py", "raise SystemExit('imported')\n")
    assert project.gate() == 2


def test_another_stage_read_another_part_of_an_output(project, capsys):
    """`data/clm` is no file of Git, and what is in it is recorded where it is read."""
    dep = {"path": "data/clm/train.csv", "md5": "e" * 32}
    project.change("dvc.yaml", lambda p: p["stages"]["repeat"].update(deps=["data/clm/train.csv"]))
    project.change("dvc.lock", lambda p: p["stages"]["repeat"].update(deps=[dep]))
    assert project.gate() == 2
    error = capsys.readouterr().err
    assert "train@clm is stale: it read another data/clm/train.csv than repeat;" in error
    assert "repeat is stale: it read another data/clm/train.csv than train@clm;" in error


def test_a_profile_is_held_to_the_sources_that_it_shares(project, capsys):
    """Its folder has its own files, and links to the project's."""
    inner = project.folder / "profiles/it"
    inner.mkdir(parents=True)
    for path in [*project.folder.iterdir()]:
        if path.name not in (".git", "profiles", "stages", "requirements.lock"):
            path.rename(inner / path.name)
    for name in ("stages", "requirements.lock"):
        (inner / name).symlink_to(f"../../{name}")
    project.git("add", "-A", "-f")
    project.git("commit", "-q", "-m", "profile")
    gate = ["--repo-dir", str(inner), "--base", "main"]
    assert main(gate) == 0, capsys.readouterr().err
    project.write("stages/loop.py", "def train():\n    return 2\n")
    assert main(gate) == 2
    assert "train@clm is stale: stages/loop.py is another" in capsys.readouterr().err
    project.git("checkout", "-q", ".")
    project.write("requirements.lock", "jax==2\n")
    assert main(gate) == 2
    assert "versions is stale: requirements.lock is another" in capsys.readouterr().err


def test_a_folder_in_no_repository(project, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    names = [*FILES, "params.yaml", "tasks.yaml", "dvc.yaml", "dvc.lock"]
    names += ["code/clm.json", "code/glue.json"]
    for name in names:
        if not name.endswith("~"):  # without Git nothing reads .dvcignore
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((project.folder / name).read_bytes())
    assert main(["--repo-dir", str(folder)]) == 0
    (folder / "reviews/train.csv").write_text("b\n")
    assert main(["--repo-dir", str(folder)]) == 2


@pytest.mark.slow(seconds=4)
def test_the_sums_are_those_of_dvc(tmp_path):
    repository = GatedRepository(tmp_path / "work")
    for name, text in FILES.items():
        path = repository.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    repository.commit()
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=repository.folder, check=True)
    (repository.folder / ".dvcignore").write_text("*~\n")
    program = (
        "from dvc.repo import Repo\n"
        "from dvc_data.hashfile.build import build\n"
        "with Repo() as repo:\n"
        "    for name in ('start', 'reviews/train.csv'):\n"
        "        print(build(repo.cache.local, name, repo.dvcfs.repo.fs, 'md5',"
        " ignore=repo.dvcignore)[2].oid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository.folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = ("start", "reviews/train.csv")
    tracked = Tracked(repository.folder, names)
    assert [tracked.digest(name) for name in names] == done.stdout.split()
