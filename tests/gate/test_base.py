"""A comparison with another revision, and a base that cannot be read."""

import shutil
import subprocess

import pytest
import yaml
from support.gated_repository import PARAMS, GatedRepository

from stages.gate.__main__ import main


@pytest.mark.parametrize(
    ("task", "metric", "value", "status"),
    [
        ("glue", "eval_accuracy", 0.8, 0),  # 0.1 below 0.9, the tolerance itself
        ("glue", "eval_accuracy", 0.95, 0),
        ("clm", "eval_perplexity", 11, 0),  # 10% above
        ("clm", "eval_perplexity", 11.001, 1),
        ("clm", "eval_perplexity", 3, 0),
        ("glue", "eval_loss", 0.4, 0),  # no tolerance: shown, not held
    ],
)
def test_base(repository, task, metric, value, status):
    repository.metrics[task][metric] = value
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == status


def test_base_absolute_tolerance(repository, capsys):
    repository.metrics["glue"]["eval_accuracy"] = 0.95
    repository.write()
    repository.commit()
    repository.metrics["glue"]["eval_accuracy"] = 0.84
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 1
    shown = capsys.readouterr()
    assert "0.84 is more than 0.1 below the base, 0.95" in shown.err
    assert "-0.11" in shown.out
    assert "regressed" in shown.out


def test_base_without_the_metric_is_new(repository, capsys):
    repository.params["tasks"]["ner"] = {}
    repository.params["gates"]["ner"] = {"eval_f1": {"min": 0.5, "tolerance": 0}}
    repository.params["gates"]["glue"]["eval_f1"] = {"tolerance": 0, "better": "higher"}
    repository.metrics["ner"] = {"eval_f1": 0.6}
    repository.metrics["glue"]["eval_f1"] = 0.6
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().out.count("new") == 2


def test_a_base_before_the_pipeline(repository):
    repository.git("rm", "-q", "--cached", "params.yaml", "dvc.lock", "metrics/*")
    repository.git("commit", "-q", "-m", "state of the index")
    assert repository.gate("--base", "main") == 0


@pytest.mark.parametrize("rev", ["nosuch", "-x", "main:params.yaml", ""])
def test_base_unknown(repository, capsys, rev):
    assert repository.gate(f"--base={rev}") == 2
    assert "no such revision" in capsys.readouterr().err


def test_base_outside_git(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    assert main(["--repo-dir", str(tmp_path), "--base", "main"]) == 2
    assert "not a git repository" in capsys.readouterr().err


def test_base_before_the_first_commit(repository, capsys):
    shutil.rmtree(repository.folder / ".git")
    repository.git("init", "-q", "-b", "main")
    assert repository.gate("--base", "main") == 2
    assert "no commits here yet; commit first" in capsys.readouterr().err


def test_base_not_in_a_shallow_clone(repository, tmp_path, capsys):
    repository.git("checkout", "-q", "-b", "other")
    repository.commit()
    repository.commit()
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.folder}", str(clone))
    line = ["--repo-dir", str(clone), "--base"]
    assert main([*line, "origin/main"]) == 2
    assert "no such revision in this shallow clone; run git fetch --unsh" in capsys.readouterr().err
    # What is there can be compared with, but not what lies before both.
    subprocess.run(
        ["git", "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main"],
        cwd=clone,
        check=True,
    )
    assert main([*line, "origin/main"]) == 0
    assert main([*line, "origin/main", "--merge-base"]) == 2
    assert "where HEAD left it is not in this shallow clone" in capsys.readouterr().err


def test_base_that_was_never_fetched(repository, tmp_path, capsys):
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.folder), str(clone))
    assert main(["--repo-dir", str(clone), "--base", "origin/release/2"]) == 2
    assert "run git fetch origin release/2" in capsys.readouterr().err


def test_the_commit_that_a_branch_left_from(repository, capsys):
    """What main gained since then is not held against the branch."""
    repository.git("checkout", "-q", "-b", "branch")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.metrics["glue"]["eval_accuracy"] = 0.99
    repository.metrics["glue"]["eval_new"] = 1
    repository.params["gates"]["glue"]["eval_accuracy"]["tolerance"] = 0.05
    repository.write()
    repository.commit()
    repository.git("checkout", "-q", "branch")
    assert repository.gate("--base", "main") == 2
    assert repository.gate("--base", "main", "--merge-base") == 0
    repository.git("checkout", "-q", "--orphan", "alone")
    (repository.folder / "other").touch()  # else it is the first commit once more
    repository.commit()
    assert repository.gate("--base", "main", "--merge-base") == 2
    assert "shares no commit with HEAD" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        repository.gate("--merge-base")
    assert left.value.code == 2


def test_base_that_cannot_be_read(repository, capsys):
    repository.file("glue").write_text('{"eval_accuracy": NaN}')
    repository.commit()
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    assert "main:metrics/glue.json" in capsys.readouterr().err


def test_turned_direction_hides_no_regression(repository):
    repository.params["gates"]["clm"]["eval_perplexity"] = {"min": 1, "tolerance": "10%"}
    repository.metrics["clm"]["eval_perplexity"] = 15
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 1


def test_folder_inside_the_repository(tmp_path):
    """A profile lives in a separate folder; the base is read there too."""
    whole = GatedRepository(tmp_path / "work")
    inner = whole.folder / "profiles" / "hub"
    inner.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", "metrics"):
        (whole.folder / name).rename(inner / name)
    whole.commit()
    assert main(["--repo-dir", str(inner), "--base", "main"]) == 0
    (inner / "metrics" / "clm.json").write_text('{"eval_perplexity": 12}')
    assert main(["--repo-dir", str(inner), "--base", "main", "--no-lock-check"]) == 1
    assert main(["--repo-dir", str(whole.folder)]) == 2
