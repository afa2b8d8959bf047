"""An edit of the sources, and which stages DVC then finds stale: what `code` is for."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from support import small_pipeline


@pytest.fixture(scope="module")
def project(prepared_pipeline, tmp_path_factory):
    """The small pipeline: data, plans, tokenizers and train@mlm have run."""
    folder = tmp_path_factory.mktemp("code") / "project"
    shutil.copytree(prepared_pipeline, folder, symlinks=True)
    assert stale(folder) == set()
    return folder


def stale(project: Path) -> set[str]:
    """The stages that have run, and for which `dvc status` names a changed file of `code/`."""
    recorded = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    status, said = small_pipeline.run(project, "dvc", "status", "--json")
    assert status == 0, said
    found = json.loads(said[said.index("{") :])
    return {
        name
        for name, changes in found.items()
        if name in recorded
        for change in changes
        if isinstance(change, dict)
        for path, state in change.get("changed deps", {}).items()
        if path.startswith("code/") and state == "modified"
    }


def after(project: Path, file: str, old: str, new: str) -> set[str]:
    """What is stale once `code` ran, after an edit that is then taken back."""
    path = project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        small_pipeline.repro(project, "code")
        return stale(project)
    finally:
        path.write_text(text)
        small_pipeline.repro(project, "code")


@pytest.mark.slow
def test_a_docstring_and_a_comment_leave_every_stage_up_to_date(project):
    assert after(project, "stages/models/layers.py", '"""', '"""In other words: ') == set()
    assert after(project, "stages/models/layers.py", "\nimport ", "\n# Why.\nimport ") == set()
    status, said = small_pipeline.run(project, "dvc", "status", "train@mlm", "--with-deps")
    assert (status, said.strip()) == (0, "Data and pipelines are up to date."), said


@pytest.mark.slow
def test_a_task_and_a_shared_module_make_stale_what_imports_them(project):
    """Of the stages that have run: fetching, tokenizers, plans, the training of mlm."""
    edit = ("\nfrom ", "\nFURTHER = 1\nfrom ")
    tasks = small_pipeline.params(project)["tasks"]
    fetches, plans = ({f"{stage}@{task}" for task in tasks} for stage in ("fetch", "plan"))
    assert after(project, "stages/tasks/qa/examples.py", *edit) == {"fetch@qa", "plan@qa"}
    assert after(project, "stages/training/losses.py", *edit) == {"train@mlm"} | plans
    assert after(project, "stages/data/tables.py", *edit) >= fetches - {"fetch@speech"}


@pytest.mark.slow
def test_which_status_tells_the_truth_before_code_ran(project):
    """What docs/pipeline.md says of an edit: a stage asked for alone does not know yet."""
    path = project / "stages/training/losses.py"
    text = path.read_text()
    path.write_text(text + "FURTHER = 1\n")
    try:
        alone, whole = (
            small_pipeline.run(project, "dvc", "status", "train@mlm", *more)[1]
            for more in ((), ("--with-deps",))
        )
        assert "up to date" in alone
        assert "stages" in whole
        assert "up to date" not in whole
    finally:
        path.write_text(text)
