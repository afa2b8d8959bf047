"""The Makefile, without installing anything: its help, its commands, and which Python it takes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import ROOT
from support.repository import Repository

NAMES = (
    "PYTHON", "URL", "BASE", "DATA", "MODEL", "TASK", "JOBS", "FORCE", "TORCH", "PROFILE", "ARGS",
    "VENV", "MAKEFLAGS", "MAKELEVEL",
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


@pytest.fixture
def called(tmp_path):
    """`called(arguments...)`: what a make command calls Python with, one list of words a call."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec "{sys.executable}" "$@"\n'
        'printf "%s\\n" "$@" | tr "\\n" "\\1"; pwd\n'
    )
    python.chmod(0o755)

    def call(*arguments: str, **environment: str) -> list[list[str]]:
        ignored = ("-o", "setup", "-o", "s3", "-o", "torch")
        done = make("-s", *ignored, f"PY={python}", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return [line.split("\1") for line in done.stdout.splitlines() if "\1" in line]

    return call


@pytest.fixture
def bare(tmp_path):
    """A fresh checkout, as far as `make setup` looks at it, in a folder with a space."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements-build.lock", "requirements.lock", "pyproject.toml"):
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
        "setup", "new", "repro", "unroll", "test", "test-all", "gate", "verify", "diff", "exp",
        "report", "remote", "push", "remote-test", "bench", "bench-data", "restore", "lint",
        "clean-cache", "clean-runs", "portable",
    ):  # fmt: skip
        assert f"\n  {target} " in shown
    assert shown == make("help").stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("repro", "stages.pipeline.repro"),
        ("repro FORCE=1", "stages.pipeline.repro --force"),
        ("repro FORCE=0", "stages.pipeline.repro"),
        ("repro FORCE=1 ARGS=train@glue", "dvc repro --force train@glue"),
        ("repro JOBS=2 FORCE=1", "stages.pipeline.repro --jobs 2 --force"),
        ("repro JOBS=2 FORCE=1 ARGS=ner", "stages.pipeline.repro --jobs 2 --force ner"),
        ("repro JOBS=1", "dvc repro"),
        ("repro ARGS=-v", "stages.pipeline.repro -v"),
        ("repro JOBS=1 ARGS=-v", "dvc repro -v"),
        ("exp", "stages.pipeline.experiments"),
        ("exp ARGS=-n5", "stages.pipeline.experiments -n5"),
        (
            "new PROFILE=a TASK=glue DATA=b.csv",
            "stages.pipeline.new_profile a --task glue --data b.csv",
        ),
        (
            "new PROFILE=a TASK=qa DATA=b MODEL=c/d ARGS=--seed=2",
            "stages.pipeline.new_profile a --task qa --data b --model c/d --seed=2",
        ),
        ("gate", "stages.gate --repo-dir ."),
        ("gate BASE=main", "stages.gate --repo-dir . --base main"),
        ("verify", "stages.gate.verify --repo-dir ."),
        ("verify BASE=main", "stages.gate.verify --repo-dir . --base main"),
        ("gate PROFILE=huggingface", "stages.gate --repo-dir profiles/huggingface"),
        ("test ARGS=-kgate", "pytest -n auto --dist worksteal -kgate"),
        ("report BASE=main", "stages.report --base main"),
        ("push ARGS=-j2", "stages.pipeline.push -j2"),
        ("bench TORCH=1", "stages.tools.bench --torch"),
        ("bench-data ARGS=--keep", "stages.tools.scale --keep"),
        ("remote URL=gs://a/b", "dvc remote add --local --force --default shared gs://a/b"),
    ],
)
def test_commands(called, command, words):
    assert ["-m", *words.split()] in [call[:-1] for call in called(*command.split())]


def test_all_tests_but_those_against_pytorch(called):
    *_, last = called("test-all", "ARGS=-x")
    assert last[-4:-1] == ["-m", "not parity", "-x"]


def test_repro_checks_and_unrolls_first(called):
    assert [words[1] for words in called("repro")] == [
        "stages.pipeline.check", "stages.core.versions", "stages.pipeline.unroll",
        "stages.pipeline.repro",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "folder"),
    [((), ROOT), (("PROFILE=embedded",), ROOT),
     (("PROFILE=huggingface",), ROOT / "profiles" / "huggingface")],
)  # fmt: skip
def test_commands_run_in_the_profile(called, given, folder):
    assert {words[-1] for words in called("repro", *given)} == {str(folder)}


HOSTILE = [
    'main"; touch made; echo "',
    "main'; touch made; echo '",
    "main$(shell touch made)",
    "main$$(touch made)",
    "main`touch made`",
    "main; touch made",
    "main\ntouch made",
    "$(error made)",
    "a  b # c \\",
]


@pytest.mark.parametrize("given_by", ["command line", "environment"])
@pytest.mark.parametrize("value", HOSTILE)
def test_what_a_caller_sets_is_text(called, value, given_by, tmp_path):
    value = value.replace("made", str(tmp_path / "made"))
    if given_by == "environment":
        *_, last = called("gate", BASE=value)
    else:
        *_, last = called("gate", f"BASE={value}")
    assert last[:-1] == ["-m", "stages.gate", "--repo-dir", ".", "--base", *value.split("\n")]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [("report", "BASE"), ("remote", "URL"), ("repro", "JOBS"), ("real", "DATA")],
)
def test_so_is_every_other_value(called, command, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = f"{tmp_path}/x'\"; touch made; $(shell touch made)$$(touch made)`touch made`"
    (tmp_path / value / "squad_v2").mkdir(parents=True)
    assert value in [call[-2] for call in called(command, f"{name}={value}")]
    assert not (ROOT / "made").exists()


@pytest.mark.parametrize("name", ["PROFILE", "TASK", "DATA", "MODEL"])
@pytest.mark.parametrize("value", HOSTILE)
def test_what_new_is_given_is_text(called, value, name, tmp_path):
    value = value.replace("made", str(tmp_path / "made"))
    given = {"PROFILE": "a", "TASK": "glue", "DATA": "b", "MODEL": "c"} | {name: value}
    *_, last = called("new", *(f"{key}={one}" for key, one in given.items()))
    words = ["-m", "stages.pipeline.new_profile", given["PROFILE"], "--task", given["TASK"],
             "--data", given["DATA"], "--model", given["MODEL"]]  # fmt: skip
    assert last[:-1] == "\n".join(words).split("\n")
    assert not (tmp_path / "made").exists()


def test_new_names_what_is_missing():
    refused = make("-s", "-o", "setup", "new", "PROFILE=a", "DATA=b")
    assert refused.returncode != 0
    assert "error: TASK is missing: make new PROFILE=reviews TASK=glue DATA=" in refused.stderr


@pytest.mark.parametrize(
    ("command", "seen"), [(("diff", "BASE=first"), "first"), (("exp",), "HEAD")]
)
def test_nothing_is_compared_before_a_first_commit(bare, command, seen):
    """DVC shows some hundred new figures then."""
    profile = bare / "profiles/reviews"
    profile.mkdir(parents=True)
    (profile / "dvc.yaml").touch()
    repository = Repository(bare)
    repository.git("init", "--quiet")
    repository.git("add", "Makefile")
    repository.git("commit", "--quiet", "-m", "Without the profile")
    repository.git("tag", "first")
    words = ("-s", "-o", "setup", "PY=echo", *command, "PROFILE=reviews")
    refused = make(*words, folder=bare)
    assert refused.returncode != 0
    assert refused.stdout == ""
    assert f"error: {seen} has no profiles/reviews/params.yaml" in refused.stderr
    (profile / "params.yaml").touch()
    repository.git("add", "profiles")
    repository.git("commit", "--quiet", "-m", "With it")
    repository.git("tag", "--force", "first")
    done = make(*words, folder=bare)
    assert done.returncode == 0
    if command[0] == "diff":
        assert "nothing in profiles/reviews differs from first; the commit before" in done.stdout
        (profile / "params.yaml").write_text("tasks: {}")
        assert "nothing in" not in make(*words, folder=bare).stdout


@pytest.mark.parametrize("value", HOSTILE)
def test_a_profile_is_a_name(value, tmp_path):
    value = value.replace("made", str(tmp_path / "made"))
    refused = make("profile", f"PROFILE={value}")
    assert refused.returncode != 0
    assert "; profiles: embedded huggingface" in refused.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("value", ["..", "../profiles/huggingface", "/tmp", "huggingface/.."])
def test_a_profile_is_below_profiles(value):
    refused = make("profile", f"PROFILE={value}")
    assert refused.returncode != 0
    assert "; profiles: embedded huggingface" in refused.stderr


def test_arguments_are_split_as_by_a_shell_and_not_run(called, tmp_path):
    given = f"""ARGS=-k "a or b" 'it"s' \\$x $(touch {tmp_path}/made) ; touch {tmp_path}/made"""
    *_, last = called("test", given)
    assert last[6:-1] == [
        "-k", "a or b", 'it"s', "$x", "$(touch", f"{tmp_path}/made)", ";", "touch",
        f"{tmp_path}/made",
    ]  # fmt: skip
    assert not (tmp_path / "made").exists()


def test_arguments_with_an_open_quotation_are_refused():
    refused = make("-o", "setup", f"PY={sys.executable}", "gate", "ARGS=--md 'a")
    assert refused.returncode != 0
    assert refused.stderr.startswith("error: ARGS=--md 'a: No closing quotation; close it\n")


def comes(path: Path) -> bool:
    """Whether a file is there within ten seconds."""
    end = time.monotonic() + 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return path.exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_to_make_reaches_the_run(tmp_path, jobs):
    python, started, got = tmp_path / "python", tmp_path / "started", tmp_path / "got"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec "{sys.executable}" "$@"\n'
        f'[ "$3" = repro ] || [ "$2" = stages.pipeline.repro ] || exit 0\n'
        f"trap 'touch {got}; exit 1' TERM; touch {started}\n"
        "for i in $(seq 300); do sleep 0.05; done\n"
    )
    python.chmod(0o755)
    line = ["make", "-s", "-o", "setup", f"PY={python}", "repro", f"JOBS={jobs}"]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        assert comes(started)
        process.terminate()
    assert comes(got)


@pytest.mark.parametrize("name", ["it's", "a $HOME", "`touch made`", 'q"q', "$(touch made)", "a;b"])
def test_a_clone_may_lie_anywhere(bare, tmp_path, name):
    """`.venv`, the drivers and the path of stages in a folder whose name a shell would read."""
    clone = bare.rename(tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=clone, check=True)
    fake = fake_python(clone / ".venv" / "bin" / "python", "3.12")
    (clone / "show.mk").write_text("show: setup\n\t@command -v python\n")
    done = make("-s", "-f", "Makefile", "-f", "show.mk", "show", folder=clone)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["setup: done", str(fake)]
    driver = subprocess.check_output(["git", "config", "merge.dvc-lock.driver"], cwd=clone)
    assert driver.startswith(b"if [ -x .venv/bin/python ]; then .venv/bin/python -m stages.")
    assert not list(tmp_path.rglob("made"))


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
    wanted = "--require-hashes -r requirements-remote.lock --no-build-isolation"
    assert wanted in make("-n", "remote", "URL=s3://bucket/folder").stdout
    assert wanted not in make("-n", "remote", "URL=gs://bucket/folder").stdout


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


def test_installs_what_builds_first_and_fetches_no_builder(recorded):
    assert make("setup", folder=recorded).returncode == 0
    assert [call.partition("install --no-compile ")[2] for call in calls(recorded)] == [
        "--require-hashes -r requirements-build.lock",
        "--require-hashes -r requirements.lock --no-build-isolation",
        "--no-deps --no-build-isolation --editable .",
    ]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_installs_again_when_a_lock_changes(recorded, lock):
    assert make("setup", folder=recorded).returncode == 0
    once = len(calls(recorded))
    (recorded / lock).touch()
    again = make("setup", folder=recorded)
    assert (again.returncode, again.stdout, len(calls(recorded))) == (0, "", once)

    with (recorded / lock).open("a") as opened:
        opened.write("# another\n")
    assert make("setup", folder=recorded).returncode == 0
    assert len(calls(recorded)) == 2 * once


def test_failed_install_is_done_again(recorded):
    (recorded / "fail").touch()
    failed = make("setup", folder=recorded)
    assert failed.returncode != 0
    assert "pip could not install" in failed.stderr
    (recorded / "fail").unlink()
    assert make("setup", folder=recorded).returncode == 0
    assert len(calls(recorded)) == 1 + 3


def test_killed_install_is_made_again(recorded, tmp_path):
    assert make("setup", folder=recorded).returncode == 0
    (recorded / ".venv" / "setup-busy").touch()  # what a killed pip leaves behind
    python = fake_python(tmp_path / "bin" / "new", "3.12")
    shown = make("setup", f"PYTHON={python}", folder=recorded).stdout
    assert ".venv is incomplete; making it again" in shown


def test_what_is_pulled_is_what_the_lock_records(called):
    """Not what a remote's run-cache offers, to which anybody with its keys may add."""
    pulling = called("repro", "JOBS=1", "ARGS=--pull --allow-missing")
    assert pulling[-1][2:-1] == ["repro", "--no-run-cache", "--pull", "--allow-missing"]
    assert called("repro", "JOBS=1", "ARGS=newsroom")[-1][2:-1] == ["repro", "newsroom"]
    verified = ["-m", "dvc", "remote", "modify", "--local", "shared", "verify", "true"]
    assert called("remote", "URL=/tmp/cache")[-1][:-1] == verified
