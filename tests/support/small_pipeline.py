"""The project's own pipeline with a few rows and steps, in a repository of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from support.paths import ROOT
from support.repository import Repository

SIZES = {
    "newsroom": {
        "events": {"train": 300, "validation": 40, "test": 40},
        "utterances": {"train": 96, "validation": 24, "test": 24},
    },
    "tokenizers": {
        "encoder": {
            "vocab_size": 400,
            "config": {
                "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                "intermediate_size": 128,
            },
        },
        "gpt2": {"vocab_size": 400, "config": {"n_embd": 64, "n_layer": 2, "n_head": 2}},
        "t5": {
            "vocab_size": 400,
            "config": {
                "d_model": 64, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2,
                "num_heads": 4, "d_kv": 16,
            },
        },
        "whisper": {
            "config": {
                "d_model": 64, "encoder_layers": 2, "decoder_layers": 1,
                "encoder_attention_heads": 2, "decoder_attention_heads": 2,
                "encoder_ffn_dim": 128, "decoder_ffn_dim": 128,
            },
        },
    },
}  # fmt: skip
TRAINING = {
    "per_device_train_batch_size": 4,
    "eval_steps": 20,
    "logging_steps": 10,
    "max_steps": 60,
    "warmup_steps": 5,
}


def merge(into: dict, changes: dict) -> None:
    """Write `changes` into nested mappings, key by key; None takes a key away."""
    for key, value in changes.items():
        if value is None:
            del into[key]
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def params(project: Path) -> dict:
    """The project's params.yaml."""
    return yaml.safe_load((project / "params.yaml").read_text())


def change_params(project: Path, changes: dict) -> None:
    """Write `changes` into the project's params.yaml."""
    values = params(project)
    merge(values, changes)
    (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def make_project(folder: Path, sizes: dict = SIZES, **training) -> Path:
    """A repository with all that Git knows of this one, cut down; nothing of it has run.

    Args:
        folder: is made.
        sizes: of data and models.
        training: arguments of every task, beside `TRAINING`.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if not source.exists() or name.split("/")[0] in ("tests", "metrics", "plots", "profiles"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    (folder / "dvc.lock").unlink()
    Repository(folder).make_python()
    tasks = params(folder)["tasks"]
    changes = {task: {**TRAINING, **training} for task in tasks}
    changes["mlm"]["mlm_span_start"] = 10
    change_params(folder, {**sizes, "tasks": changes})
    status, said = run(folder, "stages.pipeline.unroll")
    assert status == 0, said
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "The pipeline, cut down")
    return folder


def prepare_project(folder: Path) -> None:
    """The same, with data and plans of all tasks, all tokenizers and the first model."""
    make_project(folder)
    sections = params(folder)
    plans = (f"plan@{task}" for task in sections["tasks"])
    tokenizers = (f"tokenizer@{name}" for name in sections["tokenizers"])
    repro(folder, *plans, *tokenizers, "train@mlm")
    commit(folder, "Data, plans, tokenizers, the model that others start from")


def git(project: Path, *words: str) -> str:
    """One command of Git, which must succeed; what it printed."""
    done = Repository(project).git(*words, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(project: Path, message: str) -> None:
    """Everything that is not ignored."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)


def start(project: Path, *words: str, under: tuple[str, ...] = ()) -> subprocess.Popen:
    """A command of Python's `-m` in the project, in a session of its own; output is joined.

    Args:
        project: the folder.
        words: the module and its arguments.
        under: a command that runs another, and its arguments.
    """
    # The stages' `python` is that of these tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [*under, sys.executable, "-m", *words],
        cwd=project,
        env=Repository(project, PATH=path, COLUMNS="200").environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(project: Path, *words: str, under: tuple[str, ...] = ()) -> tuple[int, str]:
    """The same, to its end: exit status, and what it printed."""
    process = start(project, *words, under=under)
    said, _ = process.communicate(timeout=1200)
    return process.returncode, said


def repro(project: Path, *words: str) -> str:
    """`dvc repro`, which must succeed; what it printed."""
    status, said = run(project, "dvc", "repro", *words)
    assert status == 0, said
    return said
