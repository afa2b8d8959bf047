"""DVC's commands in forks of one server: their environment, folder, output and failures."""

import json

import pytest

from stages.core.errors import InputError
from stages.pipeline.dvc_process import DvcProcess, run_dvc


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty DVC project without Git, the working folder."""
    monkeypatch.chdir(tmp_path)
    run_dvc("init", "--no-scm", "--quiet")
    return tmp_path


def test_a_command_sees_the_environment_of_the_moment(project, monkeypatch):
    """The server's own is that of the first command, which may be long ago."""
    stage = {"cmd": "echo $SHARED-$OWN > out", "outs": ["out"]}
    (project / "dvc.yaml").write_text(json.dumps({"stages": {"a": stage}}))
    for shared, own in (("1", "2"), ("3", "")):
        monkeypatch.setenv("SHARED", shared)
        environment = {"OWN": own} if own else None
        process = DvcProcess("repro", "--force", environment=environment, merged=True)
        lines = list(process.lines())
        assert process.wait() == 0, lines
        assert lines[0] == "Running stage 'a':\n"
        assert (project / "out").read_text() == f"{shared}-{own}\n"


def test_a_failure_gives_its_reason(project):
    with pytest.raises(InputError) as caught:
        run_dvc("dag", "--dot", "nothing")
    assert str(caught.value).startswith("dvc dag --dot nothing: ERROR: 'nothing' does not exist")


def test_output_and_errors_are_apart(project):
    (project / "dvc.yaml").write_text('{"stages": {}}')
    assert json.loads(run_dvc("status", "--json")) == {}
