"""The Makefile, without installing anything: its help, its commands, and which Python it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

NAMES = (
    "PYTHON", "URL", "BASE", "JOBS", "FORCE", "TORCH", "PROFILE", "ARGS", "MAKEFLAGS", "MAKELEVEL",
)  # fmt: skip


def make(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    clean = {name: value for name, value in clean.items() if not name.startswith("HF_")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
    )


def planned(*arguments: str) -> str:
    shown = make("-n", *arguments)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.replace('"', "")


@pytest.fixture
def bare(tmp_path):
    """A fresh checkout, as far as `make setup` looks at it, in a folder with a space."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def fake_python(path: Path, version: str) -> Path:
    """A `python` that says its version and cannot make an environment; "" does not run at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answer = f"echo {version}" if version else "exit 127"
    path.write_text(f'#!/bin/sh\n[ "$2" = pip ] && exit 0\n[ "$1" = -c ] || exit 9\n{answer}\n')
    path.chmod(0o755)
    return path


def test_help_is_the_default_and_lists_every_target():
    shown = make().stdout
    for target in (
        "setup", "repro", "unroll", "test", "test-all", "gate", "diff", "report", "remote", "push",
        "remote-test", "bench", "restore", "lint", "clean-runs",
    ):  # fmt: skip
        assert f"\n  {target} " in shown
    assert shown == make("help").stdout


def test_commands():
    assert "-m stages.core.versions" in planned("repro")
    assert planned("repro").index("-m stages.pipeline.unroll") < planned("repro").index(
        "stages.pipeline.repro"
    )
    assert "cd profiles/huggingface && " in planned("unroll", "PROFILE=huggingface")
    assert "--jobs" not in planned("repro")
    assert "-m dvc repro --force train@glue" in planned("repro", "FORCE=1", "ARGS=train@glue")
    assert "--force" not in planned("repro", "FORCE=0")
    assert "stages.pipeline.repro --jobs 2 --force" in planned("repro", "JOBS=2", "FORCE=1")
    assert "--jobs 2 --force ner" in planned("repro", "JOBS=2", "FORCE=1", "ARGS=ner")
    assert "-m dvc repro" in planned("repro", "JOBS=1")
    assert "stages.pipeline.repro" not in planned("repro", "JOBS=1")
    assert "cd profiles/huggingface" in planned("repro", "PROFILE=huggingface")
    assert "cd . " in planned("repro", "PROFILE=embedded")
    assert "-m stages.gate --repo-dir . --base main" in planned("gate", "BASE=main")
    assert "--base" not in planned("gate")
    assert "-m pytest -n auto --dist worksteal -k gate" in planned("test", "ARGS=-k gate")
    assert "--dist worksteal -m not parity -x" in planned("test-all", "ARGS=-x")
    assert "-m stages.report --base main" in planned("report", "BASE=main")
    assert "-m stages.pipeline.push -j 2" in planned("push", "ARGS=-j 2")
    assert "-m stages.tools.bench --torch" in planned("bench", "TORCH=1")


@pytest.mark.parametrize(
    ("given", "environment", "offline"),
    [((), {}, "1"), ((), {"HF_HUB_OFFLINE": "0"}, "0"), (("PROFILE=huggingface",), {}, "0")],
)
def test_environment(tmp_path, given, environment, offline):
    extra = tmp_path / "extra.mk"
    extra.write_text(
        'show:\n\t@echo "$$HF_HUB_OFFLINE $$HF_DATASETS_OFFLINE $$DVC_NO_ANALYTICS $$PATH"\n'
    )
    shown = make("-f", "Makefile", "-f", str(extra), "show", *given, **environment)
    assert shown.stdout.startswith(f"{offline} {offline} 1 {ROOT}/.venv/bin:"), shown.stderr


def test_a_remote_on_s3_asks_for_its_packages():
    wanted = "install --no-compile --require-hashes -r requirements-remote.lock"
    assert wanted in planned("remote", "URL=s3://bucket/folder")
    assert wanted not in planned("remote", "URL=gs://bucket/folder")


def test_unknown_profile_is_refused():
    refused = make("profile", "PROFILE=nosuch")
    assert refused.returncode != 0
    assert "there is no profiles/nosuch/dvc.yaml" in refused.stderr


def test_unsupported_python_is_refused_by_name(bare, tmp_path):
    old = fake_python(tmp_path / "bin" / "old", "3.10")
    refused = make("setup", f"PYTHON={old}", folder=bare)
    assert refused.returncode != 0
    assert f"needs Python 3.11, 3.12 or 3.13; {old} is Python 3.10" in refused.stderr
    assert not (bare / ".venv").exists()


def test_python_that_runs_is_chosen(bare, tmp_path):
    """A pyenv shim may be on the path and fail; a newer Python may be too new."""
    folder = tmp_path / "bin"
    fake_python(folder / "python3", "3.14")
    fake_python(folder / "python3.12", "")
    fake_python(folder / "python3.13", "")
    fake_python(folder / "python3.11", "")
    path = f"{folder}:{os.environ['PATH']}"
    refused = make("setup", folder=bare, PATH=path)
    assert "python3 is Python 3.14; python3.12 does not run" in refused.stderr

    fake_python(folder / "python3.13", "3.13")
    chosen = make("setup", folder=bare, PATH=path)
    assert "making .venv with Python 3.13 (python3.13)" in chosen.stdout
    assert chosen.returncode != 0  # the fake cannot make one


def test_unsupported_environment_is_refused(bare):
    fake_python(bare / ".venv" / "bin" / "python", "3.10")
    refused = make("setup", folder=bare)
    assert refused.returncode != 0
    assert ".venv holds Python 3.10" in refused.stderr


@pytest.fixture
def recorded(bare):
    """An environment whose pip only notes what it is asked, and fails if a file `fail` exists."""
    log, fail = bare / "log", bare / "fail"
    python = bare / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec "{sys.executable}" "$@"\n'
        f'[ "$3" = --version ] && exit 0\necho "$@" >> "{log}"\n[ ! -e "{fail}" ]\n'
    )
    python.chmod(0o755)
    log.touch()
    return bare


def calls(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def test_installs_once_and_again_when_the_lock_changes(recorded):
    assert make("setup", folder=recorded).returncode == 0
    first, second = calls(recorded)
    assert first.endswith("install --no-compile --require-hashes -r requirements.lock")
    assert second.endswith("install --no-compile --no-deps --no-build-isolation --editable .")

    (recorded / "requirements.lock").touch()
    again = make("setup", folder=recorded)
    assert (again.returncode, again.stdout, len(calls(recorded))) == (0, "", 2)

    with (recorded / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    assert make("setup", folder=recorded).returncode == 0
    assert len(calls(recorded)) == 4


def test_failed_install_is_done_again(recorded):
    (recorded / "fail").touch()
    failed = make("setup", folder=recorded)
    assert failed.returncode != 0
    assert "pip could not install" in failed.stderr
    (recorded / "fail").unlink()
    assert make("setup", folder=recorded).returncode == 0
    assert len(calls(recorded)) == 3


def test_killed_install_is_made_anew(recorded, tmp_path):
    assert make("setup", folder=recorded).returncode == 0
    (recorded / ".venv" / "setup-busy").touch()  # what a killed pip leaves behind
    python = fake_python(tmp_path / "bin" / "new", "3.12")
    shown = make("setup", f"PYTHON={python}", folder=recorded).stdout
    assert ".venv is incomplete; making it again" in shown


def test_what_is_pulled_is_what_the_lock_records():
    """Not what a remote's run-cache offers, to which anybody with its keys may add."""
    pulling = planned("repro", "JOBS=1", "ARGS=--pull --allow-missing")
    assert "dvc repro --pull --no-run-cache --allow-missing" in " ".join(pulling.split())
    assert "--no-run-cache" not in planned("repro", "JOBS=1", "ARGS=newsroom")
    assert "dvc remote modify --local shared verify true" in planned("remote", "URL=/tmp/cache")
