"""Rows and tokens are made once, whatever happens while they are made."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support import scripts
from support.paths import ROOT

ROWS = 60_000


@pytest.fixture
def run(checkpoint, files, tmp_path):
    """`run(...)`: a command of one task with a cache of its own; the entries that it leaves."""
    cache = tmp_path / "cache"

    def start(task, name, *flags, model=None):
        scripts.call(
            scripts.SCRIPTS[task], f"--model_name_or_path={model or checkpoint()}",
            f"--train_file={files / scripts.FILES[task]}",
            f"--validation_file={files / scripts.FILES[task]}",
            f"--output_dir={tmp_path / name}", f"--cache_dir={cache}",
            *scripts.OWN[task], *scripts.TRAINING, *flags,
        )  # fmt: skip
        return {
            folder.name: (folder / "rows.arrow").stat().st_mtime_ns
            for folder in (cache / "flaxmill/rows").iterdir()
            if folder.is_dir()
        }

    return start


@pytest.mark.parametrize(
    "task",
    [
        "glue",
        *(pytest.param(task, marks=pytest.mark.slow(seconds=10)) for task in ("mlm", "ner", "qa")),
    ],
)
def test_seeds_and_evaluations_share_them(run, task, tmp_path):
    made = run(task, "a", "--do_train", "--do_eval")
    assert 2 <= len(made) <= 4
    assert run(task, "b", "--do_train", "--do_eval", "--seed=7") == made
    # The folder keeps the columns by their names; these are found without.
    columns = ("--text_column_name=none", "--text_pair_column_name=none") if task == "glue" else ()
    assert run(task, "d", "--do_eval", *columns, model=tmp_path / "a") == made
    # What was read from the cache gives what was made now.
    run(task, "c", "--do_train", "--do_eval")
    first, second = (scripts.tree(tmp_path / name) for name in ("a", "c"))
    for name in first:
        if name.endswith((".json", ".safetensors")) and not name.startswith("runs"):
            assert first[name] == second[name], name


@pytest.mark.slow(seconds=8)
def test_other_settings_make_others(run):
    made = run("glue", "a", "--do_train")
    shorter = run("glue", "a", "--do_train", "--max_seq_length=16")
    assert made.keys() < shorter.keys()
    fresh = run("glue", "a", "--do_train", "--overwrite_cache")
    assert fresh.keys() == shorter.keys()
    assert {name for name in made if fresh[name] == shorter[name]} == set()


def arrow_files(cache):
    return {
        folder.name: (folder / "rows.arrow").read_bytes()
        for folder in (cache / "flaxmill/rows").iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    }


@pytest.mark.slow(seconds=60)
def test_killed_while_tokens_are_made(checkpoint, tmp_path):
    path = tmp_path / "pairs.csv"
    with path.open("w") as file:
        file.write("sentence1,sentence2,label\n")
        file.writelines(f"Ann saw Bob {row},the Ray {row},{row % 2}\n" for row in range(ROWS))

    def start(name):
        return subprocess.Popen(
            [
                sys.executable, "-m", "stages.run_flax_glue", "--do_train", f"--train_file={path}",
                f"--model_name_or_path={checkpoint()}", f"--output_dir={tmp_path / name}",
                f"--cache_dir={tmp_path / name / 'cache'}", *scripts.TRAINING,
            ],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    whole = start("whole")
    assert whole.wait(timeout=300) == 0, whole.stdout.read()
    expected = arrow_files(tmp_path / "whole/cache")
    assert len(expected) == 2
    for kind in ("glue-", "glue-tokens-"):
        process = start("cut")
        partial = tmp_path / "cut/cache/flaxmill/rows"
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if any(partial.glob(f".{kind}*.part/rows.arrow")):
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert len(arrow_files(tmp_path / "cut/cache")) == (kind == "glue-tokens-")
    again = start("cut")
    assert again.wait(timeout=300) == 0, again.stdout.read()
    assert arrow_files(tmp_path / "cut/cache") == expected
    model = "model.safetensors"
    assert (tmp_path / "cut" / model).read_bytes() == (tmp_path / "whole" / model).read_bytes()
    assert not list(partial.glob("*.part"))
