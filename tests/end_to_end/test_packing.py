"""`--pack` in a script: the losses of the rows unpacked, fewer padded tokens, and a full run."""

import json
import re
import shutil

import numpy as np
import pytest
from support import scripts, toy_shards

from stages.data.batching import Batches

# All of the rows in one step.
ROWS = 24
TASKS = ("glue", "ner", "qa", "summarization", "mlm")


@pytest.fixture
def run(checkpoint, tmp_path):
    """`run(task, flags...)`: what a training printed, and its output folder."""

    def train(task, *flags):
        # Without dropout, which draws by the place in a batch.
        model = tmp_path / f"{task}-start"
        if not model.exists():
            shutil.copytree(checkpoint(toy_shards.FAMILIES.get(task, "bert")), model)
            config = json.loads((model / "config.json").read_text())
            config = {key: 0.0 if "dropout" in key else value for key, value in config.items()}
            (model / "config.json").write_text(json.dumps(config))
        rows = tmp_path / f"{task}.jsonl"
        with rows.open("w") as file:
            for row in toy_shards.rows_of(task, ROWS):
                file.write(json.dumps(row) + "\n")
        out = tmp_path / f"{task}{''.join(flags)}"
        printed = scripts.call(
            scripts.SCRIPTS[task],
            f"--model_name_or_path={model}",
            f"--train_file={rows}",
            f"--output_dir={out}",
            "--do_train",
            "--overwrite_output_dir",
            f"--per_device_train_batch_size={ROWS}",
            "--learning_rate=1e-2",
            "--max_steps=3",
            "--logging_steps=1",
            "--length_buckets=1",
            *toy_shards.FLAGS[task],
            *flags,
        )
        return printed, out

    return train


def losses(out) -> list[float]:
    return np.loadtxt(out / "runs/train.csv", delimiter=",", skiprows=1)[:, 1].tolist()


@pytest.mark.parametrize(
    "task",
    [
        "glue",
        *(pytest.param(task, marks=pytest.mark.slow(seconds=12)) for task in ("ner", "qa")),
        pytest.param("summarization", marks=pytest.mark.slow(seconds=12)),
    ],
)
def test_the_same_losses(task, run):
    """Three steps on all rows: the second and third are of weights that packed rows trained."""
    plain, packed = (run(task, *flags) for flags in ((), ("--pack",)))
    assert "packed:" not in plain[0]
    said = re.search(r"packed: (\d+) rows into (\d+) of \d+ tokens, ([\d.]+)% full", packed[0])
    rows, groups, share = said.groups()
    assert int(groups) < int(rows)
    assert float(share) > 80
    np.testing.assert_allclose(losses(plain[1]), losses(packed[1]), atol=1e-5)


@pytest.mark.slow(seconds=10)
def test_masked_tokens_are_learned(run):
    printed, out = run("mlm", "--pack", "--line_by_line", "--max_steps=12")
    assert "packed:" in printed
    found = losses(out)
    assert found[-1] < found[0]


def test_evaluation_is_not_packed(run, monkeypatch):
    """Its rows are sorted by length; each must come out by itself."""
    shapes = []
    collate = Batches._collate

    def keeping(self, *arguments):
        batch = collate(self, *arguments)
        shapes.append(set(batch.arrays))
        return batch

    monkeypatch.setattr(Batches, "_collate", keeping)
    _, out = run("glue", "--pack")
    (model := out / "model").mkdir()
    for path in out.glob("*.*"):
        shutil.copy(path, model)
    validation = out.parent / "glue.jsonl"
    scripts.call(
        "run_flax_glue", f"--model_name_or_path={model}", f"--validation_file={validation}",
        f"--output_dir={out / 'eval'}", "--do_eval", "--pack", *toy_shards.FLAGS["glue"],
    )  # fmt: skip
    assert "sequence_ids" in shapes[0]
    assert "sequence_ids" not in shapes[-1]
    assert scripts.results(out / "eval")["eval_samples"] == ROWS
