"""Two branches that both ran the pipeline, merged by Git through the drivers of `make setup`."""

import json
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT
from support.repository import Repository

from stages.pipeline.merge_lock import main, merge_stages


@pytest.mark.parametrize(
    ("ancestor", "ours", "theirs", "merged", "both"),
    [
        ({"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, []),
        ({"a": 1}, {"a": 1}, {"a": 3}, {"a": 3}, []),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, []),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}, ["a"]),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, []),
        ({}, {"a": 1}, {"a": 2}, {"a": 1}, ["a"]),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 1}, {"b": 1}, []),
        ({"a": 1, "b": 1}, {"a": 1, "b": 1}, {"b": 2}, {"b": 2}, []),
        ({"a": 1}, {}, {"a": 2}, {"a": 2}, ["a"]),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}, ["a"]),
    ],
)
def test_each_stage_is_taken_whole(ancestor, ours, theirs, merged, both):
    assert merge_stages(ancestor, ours, theirs) == (merged, both)


def write_lock(path: Path, stages: dict) -> Path:
    path.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))
    return path


def test_the_order_is_kept(tmp_path):
    sides = [
        write_lock(tmp_path / name, stages)
        for name, stages in (
            ("ancestor", {"z": {"cmd": "1"}}),
            ("ours", {"z": {"cmd": "1"}, "m": {"cmd": "1"}}),
            ("theirs", {"a": {"cmd": "1"}, "z": {"cmd": "2"}}),
        )
    ]
    main([str(side) for side in sides])
    assert sides[1].read_text() == (
        "schema: '2.0'\nstages:\n  z:\n    cmd: '2'\n  m:\n    cmd: '1'\n  a:\n    cmd: '1'\n"
    )


def test_what_dvc_wrote_keeps_its_bytes(tmp_path):
    """The project's own lock: a merge must not rewrite what neither side changed."""
    lock = ROOT / "dvc.lock"
    ours = tmp_path / "ours"
    ours.write_bytes(lock.read_bytes())
    main([str(lock), str(ours), str(lock)])
    assert ours.read_bytes() == lock.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["<<<<<<< ours\nschema: '2.0'\n", "schema: '1.0'\nstages: {}\n", "- a list\n", "stages: {\n"],
)
def test_a_side_that_cannot_be_read_is_left_to_people(tmp_path, capsys, text):
    good = write_lock(tmp_path / "good", {"a": {"cmd": "1"}})
    bad = tmp_path / "bad"
    bad.write_text(text)
    before = good.read_bytes()
    with pytest.raises(SystemExit) as left:
        main([str(good), str(good), str(bad)])
    assert left.value.code == 1
    assert "dvc.lock: a side" in capsys.readouterr().err
    assert good.read_bytes() == before


class Clone(Repository):
    """A repository with the merge drivers of this one."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.git("init", "-q", "-b", "main")
        for name in (".gitattributes", "Makefile"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
        # Of make's targets only the one that registers the drivers, with this Python as .venv's.
        self.make_python()
        self.call("make", "drivers")
        (folder / ".gitignore").write_text(".venv\n/models/\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "drivers")


class Project(Clone):
    """Two stages of DVC, each with a metric."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        stages = {
            name: {
                "cmd": f"mkdir -p models metrics && cp {name}.txt models/{name} && "
                f'echo "{{\\"m\\": $(cat {name}.txt)}}" > metrics/{name}.json',
                "deps": [f"{name}.txt"],
                "outs": [f"models/{name}"],
                "metrics": [{f"metrics/{name}.json": {"cache": False}}],
            }
            for name in ("left", "right")
        }
        (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
        self.dvc("init", "--quiet")
        self.run(left=1, right=1)

    def run(self, **values: int) -> None:
        """Run the stages with these inputs and commit the result."""
        for name, value in values.items():
            (self.folder / f"{name}.txt").write_text(f"{value}\n")
        self.dvc("repro", "--quiet")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"run {values}")

    def metric(self, name: str) -> int:
        return json.loads((self.folder / f"metrics/{name}.json").read_text())["m"]


class Worktree(Repository):
    """A further worktree of a clone."""

    def __init__(self, clone: Clone, folder: Path):
        super().__init__(folder)
        clone.git("worktree", "add", "-q", "--detach", str(folder))


def locked(left: int = 1, right: int = 1) -> str:
    """A lock file whose two stages lie far enough apart for a merge of text."""
    stages = {name: {"cmd": f"run {value}", "deps": [{"path": f"{name}{row}"} for row in range(9)]}
              for name, value in (("left", left), ("right", right))}  # fmt: skip
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def merge_locks(repository: Repository, ours: str, theirs: str) -> tuple[int, str, str]:
    """Exit status, lock and messages of a merge of two branches that differ in their lock only."""
    lock = repository.folder / "dvc.lock"
    for branch, start, content in (
        ("base-lock", "HEAD", locked()),
        ("our-lock", "base-lock", ours),
        ("their-lock", "base-lock", theirs),
    ):
        repository.git("checkout", "-q", "-f", "-b", branch, start)
        lock.write_text(content)
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", branch)
    repository.git("checkout", "-q", "our-lock")
    done = repository.git("merge", "-q", "--no-edit", "their-lock", check=False)
    return done.returncode, lock.read_text(), done.stderr


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "a clone").mkdir()
    return Clone(tmp_path / "a clone")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "a clone").mkdir()
    return Project(tmp_path / "a clone")


def test_two_branches_that_ran_different_stages(project):
    project.git("checkout", "-q", "-b", "other")
    project.run(right=2)
    project.git("checkout", "-q", "main")
    project.run(left=3)
    merged = project.git("merge", "-q", "--no-edit", "other")
    assert "dvc.lock: merged stage by stage" in merged.stderr
    assert (project.metric("left"), project.metric("right")) == (3, 2)
    # The lock matches the files: nothing is left to run.
    project.dvc("checkout", "--quiet")
    assert project.dvc("status", "-q", check=False).returncode == 0


def test_the_drivers_outlive_the_worktree_that_registered_them(clone, tmp_path):
    """Git's configuration is that of all worktrees."""
    clone.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "second"))
    clone.call("make", "-C", str(tmp_path / "second"), "drivers")
    clone.git("worktree", "remove", "--force", str(tmp_path / "second"))
    ours, theirs = locked(left=2), locked(right=2)
    assert merge_locks(clone, ours, theirs)[:2] == (0, locked(left=2, right=2))


def test_a_worktree_merges_with_its_own_python(clone, tmp_path):
    """That of the worktree that registered the drivers may be gone."""
    second = Worktree(clone, tmp_path / "it's another")
    second.make_python()
    (clone.folder / ".venv/bin/python").unlink()
    assert merge_locks(second, locked(left=2), locked(right=2))[:2] == (
        0,
        locked(left=2, right=2),
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "conflicts"),
    [({"left": 2}, {"right": 2}, 0), ({"left": 2}, {"left": 3}, 1)],
)
def test_without_a_python_the_lock_is_merged_as_text(clone, tmp_path, ours, theirs, conflicts):
    second = Worktree(clone, tmp_path / "second")
    status, merged, said = merge_locks(second, locked(**ours), locked(**theirs))
    assert status == conflicts
    assert "dvc.lock: no .venv here (make setup), so merged as text" in said
    if conflicts:
        assert "<<<<<<<" in merged
        assert ">>>>>>>" in merged
    else:
        assert merged == locked(**ours, **theirs)


@pytest.mark.slow
def test_two_branches_that_ran_the_same_stage(project):
    project.git("checkout", "-q", "-b", "other")
    project.run(left=2, right=2)
    project.git("checkout", "-q", "main")
    project.run(left=3)
    merged = project.git("merge", "-q", "--no-edit", "other", check=False)
    # People decide about the input; its outputs are not in conflict.
    assert merged.returncode == 1
    assert "both sides ran left; ours is kept" in merged.stderr
    unmerged = project.git("diff", "--name-only", "--diff-filter=U").stdout.split()
    assert unmerged == ["left.txt"]
    assert (project.metric("left"), project.metric("right")) == (3, 2)
    (project.folder / "left.txt").write_text("4\n")
    project.git("add", "-A")
    project.git("commit", "-q", "--no-edit")
    assert project.dvc("status", "-q", check=False).returncode == 1
    project.dvc("repro", "--quiet")
    assert project.metric("left") == 4
    assert project.dvc("status", "-q", check=False).returncode == 0


@pytest.mark.slow
def test_without_the_drivers_the_lock_conflicts(project):
    """The control: what the drivers avoid."""
    for name in ("dvc-lock", "pipeline-output"):
        project.git("config", "--remove-section", f"merge.{name}")
    project.git("checkout", "-q", "-b", "other")
    project.run(left=2, right=2)
    project.git("checkout", "-q", "main")
    project.run(left=3)
    assert project.git("merge", "-q", "--no-edit", "other", check=False).returncode == 1
    unmerged = project.git("diff", "--name-only", "--diff-filter=U").stdout.split()
    assert set(unmerged) >= {"dvc.lock", "metrics/left.json"}
