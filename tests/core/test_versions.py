"""`versions.json` has the installed versions, and a stage refuses to run under others."""

import json
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

from stages.core import versions
from stages.core.errors import InputError
from stages.training import session


def test_written_once_and_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "versions.json"
    assert versions.main() == 0
    text = path.read_text()
    assert list(json.loads(text)) == sorted(versions.PACKAGES)
    assert json.loads(text)["jax"] == metadata.version("jax")
    assert text.startswith('{\n "datasets"')
    assert text.endswith('"\n}\n')

    before = path.stat().st_mtime_ns
    capsys.readouterr()
    assert versions.main() == 0
    assert path.stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""

    path.write_text("{}")
    assert versions.main() == 0
    assert path.read_text() == text


def test_check(tmp_path):
    path = tmp_path / "versions.json"
    versions.check_versions(path)  # missing: a script run by hand
    path.write_text(json.dumps(versions.installed_versions()))
    versions.check_versions(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jax": "0.0.1"}, "jax 0.0.1 recorded"),
        ({"torch": "1"}, "torch 1 recorded, none here"),
    ],
)
def test_check_refuses_other_versions(tmp_path, change, said):
    path = tmp_path / "versions.json"
    path.write_text(json.dumps(versions.installed_versions() | change))
    with pytest.raises(InputError, match=said) as caught:
        versions.check_versions(path)
    assert "python -m stages.core.versions" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"jax": '])
def test_check_refuses_a_broken_file(tmp_path, text):
    path = tmp_path / "versions.json"
    path.write_text(text)
    with pytest.raises(InputError, match="python -m stages"):
        versions.check_versions(path)


def test_a_stage_of_the_pipeline_is_checked(tmp_path, monkeypatch):
    """DVC_STAGE is what DVC sets; by hand a script runs under any versions."""
    args = SimpleNamespace(enabled=True)
    monkeypatch.setattr(session, "parse_arguments", lambda *_: args)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "versions.json").write_text(json.dumps({"jax": "0.0.1"}))
    monkeypatch.setenv("DVC_STAGE", "train@glue")
    with pytest.raises(InputError, match=r"^versions\.json: .*jax 0\.0\.1 recorded"):
        session.start(None, "")
    monkeypatch.delenv("DVC_STAGE")
    with pytest.raises(AttributeError):  # past the check: `args` has nothing more
        session.start(None, "")


def test_package_not_installed(monkeypatch):
    monkeypatch.setattr(versions, "PACKAGES", ("flaxmill-no-such-package",))
    with pytest.raises(InputError, match="make setup"):
        versions.installed_versions()


def test_nothing_heavy_is_imported():
    code = (
        "import sys, stages.core.versions; "
        "print({'jax', 'numpy', 'transformers'} & set(sys.modules))"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True).stdout.strip() == "set()"
