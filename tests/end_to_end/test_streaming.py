"""Scripts that train on a stream: every task, from every kind of source, cut off and not."""

import json
import os
import random
import shutil
import subprocess
import sys

import datasets
import pytest
from support import scripts, toy_data, toy_shards
from support.loopback import serve
from support.paths import TESTS

from stages.training.resume import ResumeStore
from stages.training.run_state import RunState

STREAM = (
    "--streaming", "--do_train", "--overwrite_output_dir", "--per_device_train_batch_size=4",
    "--per_device_eval_batch_size=4", "--shuffle_buffer_size=13", "--logging_steps=1",
    "--learning_rate=1e-2", "--length_buckets=2", "--length_bucket_saving=0",
)  # fmt: skip
DEFAULT = ("glue", "clm")


def flags_of(task, checkpoint, out, *more):
    model = checkpoint(toy_shards.FAMILIES.get(task, "bert"))
    start = (f"--model_name_or_path={model}", f"--output_dir={out}")
    return *start, *STREAM, *toy_shards.FLAGS[task], *more


def shards_of(task, folder, count=30, kind=".jsonl"):
    return toy_shards.write_shards(folder, toy_shards.rows_of(task, count), 11, kind)


def run(task, checkpoint, shards, out, *more) -> str:
    flags = flags_of(task, checkpoint, out, f"--train_file={shards}", *more)
    return scripts.call(scripts.SCRIPTS[task], *flags)


def left(out) -> dict[str, bytes]:
    """What a run leaves, its curves too, without its times."""
    files = scripts.tree(out)
    return {
        name: content
        for name, content in files.items()
        if not name.startswith("runs/") or name.endswith(".csv")
    }


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("task", DEFAULT)
def test_from_parquet_and_json_lines_the_same(task, checkpoint, tmp_path):
    trained = []
    for kind in (".jsonl", ".parquet"):
        shards = shards_of(task, tmp_path / kind, kind=kind)
        run(task, checkpoint, shards, tmp_path / "out", "--max_steps=12")
        trained.append((tmp_path / "out" / "model.safetensors").read_bytes())
    assert trained[0] == trained[1]
    seen = scripts.results(tmp_path / "out", "train")["train_samples"]
    # Passes of 30 rows in blocks of 13, 13 and 4, or as many rows as their tokens make.
    assert seen == 42 if task == "glue" else seen > 30
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{tmp_path / '.parquet'}` (a stream; the checksum is of its" in card
    assert f"| {seen} |" in card


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("task", [task for task in toy_shards.FLAGS if task not in DEFAULT])
def test_every_other_task(task, checkpoint, tmp_path):
    test_from_parquet_and_json_lines_the_same(task, checkpoint, tmp_path)


class Cut(Exception):
    """Stands for whatever ends a process."""


def cut_at(monkeypatch, steps: list[int]) -> None:
    """Let a run end in each of these steps, once; a state is kept after every other one."""
    advance = RunState.advance

    def cutting(self, *figures):
        advance(self, *figures)
        if self.step in steps:
            steps.remove(self.step)
            raise Cut

    monkeypatch.setattr(ResumeStore, "due", lambda self: True)
    monkeypatch.setattr(RunState, "advance", cutting)


def finish_cut_run(monkeypatch, task, checkpoint, shards, out, steps, *more) -> str:
    cut_at(monkeypatch, steps)
    while True:
        try:
            return run(task, checkpoint, shards, out, *more)
        except Cut:
            pass


@pytest.mark.parametrize(
    ("task", "cuts", "more"),
    [
        pytest.param("glue", [9], (), marks=pytest.mark.slow(seconds=10)),
        *(pytest.param(task, 10, (), marks=pytest.mark.slow(seconds=90)) for task in DEFAULT),
        *(
            pytest.param(task, 3, ("--pack",), marks=pytest.mark.slow(seconds=30))
            for task in ("glue", "summarization")
        ),
    ],
)
def test_cut_off_it_ends_with_the_same_bytes(task, cuts, more, checkpoint, tmp_path, monkeypatch):
    # 30 rows in three shards, in blocks of 13, 13 and 4: no two of these end at the same row.
    shards, out = shards_of(task, tmp_path / "shards"), tmp_path / "out"
    run(task, checkpoint, shards, out, "--max_steps=40", *more)
    whole = left(out)
    shutil.rmtree(out)
    steps = random.Random(3).sample(range(2, 40), cuts) if isinstance(cuts, int) else cuts
    text = finish_cut_run(
        monkeypatch, task, checkpoint, shards, out, steps, "--max_steps=40",
        "--checkpoint_seconds=0", *more,
    )  # fmt: skip
    assert "resuming from step" in text
    assert not steps
    assert left(out) == whole


KILLED = """
import json, os, signal, sys
from support import scripts
from stages.training.resume import ResumeStore
from stages.training.run_state import RunState
script, at, *flags = json.loads(sys.argv[1])
advance = RunState.advance
def cutting(self, *figures):
    advance(self, *figures)
    if self.step == at:
        os.kill(os.getpid(), signal.SIGKILL)
RunState.advance = cutting
ResumeStore.due = lambda self: True
print(scripts.call(script, *flags))
"""


@pytest.mark.slow(seconds=200)
@pytest.mark.parametrize("task", DEFAULT)
def test_killed_it_ends_with_the_same_bytes(task, checkpoint, tmp_path):
    shards, out = shards_of(task, tmp_path / "shards"), tmp_path / "out"
    flags = flags_of(task, checkpoint, out, f"--train_file={shards}", "--max_steps=40")

    def start(at):
        call = json.dumps([scripts.SCRIPTS[task], at, *map(str, flags)])
        return subprocess.run(
            [sys.executable, "-c", KILLED, call],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    assert start(None).returncode == 0
    whole = left(out)
    shutil.rmtree(out)
    for at in sorted(random.Random(5).sample(range(2, 40), 10)):
        assert start(at).returncode == -9
    last = start(None)
    assert last.returncode == 0, last.stderr
    assert "resuming from step" in last.stdout
    assert left(out) == whole


@pytest.mark.slow(seconds=10)
def test_labels_that_come_up_late(checkpoint, tmp_path):
    rows = [{"sentence": "Bob stayed .", "label": label} for label in "abababababababac"]
    shards = toy_shards.write_shards(tmp_path / "shards", iter(rows), 7)
    flags = flags_of("glue", checkpoint, tmp_path / "out", f"--train_file={shards}")
    flags = (*flags, "--max_steps=8", "--checkpoint_seconds=0")
    line = scripts.refused("run_flax_glue", *flags)
    assert "part-002.jsonl, line 2: the label 'c' is none of those known: a, b (--label_" in line
    # The state before it stays.
    assert list((tmp_path / "out/runs/checkpoints").glob("*/*/state.json"))
    scripts.call("run_flax_glue", *flags, "--label_names=c, b,a")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "c", "1": "b", "2": "a"}
    # A checkpoint that knows them needs no list.
    again = [flag for flag in flags if not flag.startswith(("--model", "--output"))]
    again += [f"--model_name_or_path={tmp_path / 'out'}", f"--output_dir={tmp_path / 'again'}"]
    scripts.call("run_flax_glue", *again)
    assert json.loads((tmp_path / "again" / "config.json").read_text())["id2label"] == {
        "0": "c", "1": "b", "2": "a",
    }  # fmt: skip
    # -1 is a class here, also where a block holds no other.
    signs = [{"sentence": "Bob stayed .", "label": label} for label in [-1, 1, -1, 1, 1, -1]]
    signed = toy_shards.write_shards(tmp_path / "signed", iter(signs), 7)
    out = scripts.call(
        "run_flax_glue", *flags, f"--train_file={signed}", "--shuffle_buffer_size=5"
    )  # fmt: skip
    assert "train_samples" in out
    # One class alone at the start.
    sorted_rows = toy_shards.write_shards(
        tmp_path / "sorted", iter(sorted(rows, key=lambda row: row["label"])), 7
    )
    flags = (*flags, f"--train_file={sorted_rows}", "--shuffle_buffer_size=4")
    line = scripts.refused("run_flax_glue", *flags)
    assert "or name every label of a stream with --label_names" in line


@pytest.mark.slow(seconds=30)
def test_a_data_set_in_the_form_of_the_hub(checkpoint, tmp_path):
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = [{"sentence": one, "label": 0} for one, _, _ in toy_data.PAIRS] * 3
    rows += [{"sentence": two, "label": 1} for _, two, _ in toy_data.PAIRS] * 3
    (tmp_path / "it").mkdir()
    data = datasets.Dataset.from_list(rows, features=features)
    for split in ("train", "validation"):
        data.to_parquet(tmp_path / "it" / f"{split}-00000-of-00001.parquet")
    files = scripts.tree(tmp_path / "it")
    flags = flags_of("glue", checkpoint, tmp_path / "out", "--max_steps=4", "--do_eval")
    # In a folder, all rows of the first block are of one class: the data set names both.
    scripts.call("run_flax_glue", *flags, f"--dataset_name={tmp_path / 'it'}")
    local = (tmp_path / "out" / "model.safetensors").read_bytes()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert scripts.results(tmp_path / "out")["eval_samples"] == len(rows)
    line = scripts.refused(
        "run_flax_glue", *flags, f"--dataset_name={tmp_path / 'it'}", "--train_split_name=all"
    )
    assert "split all: no such split; there are train, validation" in line
    # On the hub; nothing is downloaded but what is read.
    code = "import json, sys; from support import scripts; scripts.call(*json.loads(sys.argv[1]))"
    with serve(datasets={"owner/it": files}) as hub:
        call = ["run_flax_glue", *map(str, flags), "--dataset_name=owner/it"]
        env = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"),
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(call)], env=env, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == local
    assert "`owner/it` `train` (a stream;" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow(seconds=20)
def test_behind_an_address_with_validation(checkpoint, files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shards = shards_of("mlm", tmp_path / "shards")
    plain = {f"/{path.name}": path.read_bytes() for path in shards.iterdir()}
    with serve(plain=plain) as server:
        run(
            "mlm", checkpoint, f"{server.address}/part-000.jsonl", tmp_path / "out",
            "--max_steps=6", "--eval_steps=3", f"--validation_file={files / 'text.txt'}",
            "--do_eval", "--load_best_model_at_end",
        )  # fmt: skip
    curve = (tmp_path / "out" / "runs" / "validation.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve] == ["step", "3", "6"]


@pytest.mark.parametrize(
    ("task", "more", "message"),
    [
        ("glue", (), "--streaming needs --max_steps"),
        ("glue", ("--max_steps=3", "--num_train_epochs=2"), "--num_train_epochs with --streaming"),
        ("glue", ("--max_steps=3", "--max_train_samples=2"), "--max_train_samples with --stream"),
        ("glue", ("--max_steps=3", "--early_stopping_patience=2", "--validation_file=a"),
         "--early_stopping_patience with --streaming needs --eval_steps"),
        ("glue", ("--streaming=false",), "--shuffle_buffer_size needs --streaming"),
        ("glue", ("--max_steps=3", "--label_names=a,,b"), "an empty or a repeated name"),
        ("clm", ("--max_steps=3", "--do_eval"), "--streaming holds nothing out"),
        ("speech", ("--max_steps=3",), "--streaming is not offered for speech"),
        ("glue", ("--max_steps=3",), "--train_file no-folder: no files there"),
    ],
)  # fmt: skip
def test_what_is_refused_at_once(task, more, message, checkpoint, tmp_path):
    flags = (
        "--model_name_or_path=m", f"--output_dir={tmp_path / 'out'}", *STREAM,
        "--train_file=no-folder", *more,
    )  # fmt: skip
    if task == "speech":
        flags = [flag for flag in flags if "saving" not in flag]
    assert message in scripts.refused(scripts.SCRIPTS[task], *flags)


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("glue", {"sentence": 7, "label": "same"}, "'sentence' is 7; expected text"),
        pytest.param("glue", {"label": "same"}, "no 'sentence'", marks=pytest.mark.slow),
        pytest.param(
            "mlm", {"text": ["a"]}, "'text' is ['a']; expected text", marks=pytest.mark.slow
        ),
    ],
)
def test_a_column_that_changes_its_type_late(task, row, message, checkpoint, tmp_path):
    rows = [*toy_shards.rows_of(task, 40), row]
    shards = toy_shards.write_shards(tmp_path / "shards", iter(rows), 11)
    flags = flags_of(task, checkpoint, tmp_path / "out", f"--train_file={shards}", "--max_steps=50")
    line = scripts.refused(scripts.SCRIPTS[task], *flags)
    assert f"part-003.jsonl, line 8: {message}" in line
