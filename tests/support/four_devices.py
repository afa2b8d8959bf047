"""Runs on four devices, each of which a test compares with its like on one.

`python -m support.four_devices WHAT OUT CHECKPOINT FILES`, where WHAT is `scripts` (whole scripts)
or `parts` (the loop and the search), with the folders of the runs, of a BERT and of the toy files.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from stages import models
from stages.data.batching import Batches
from stages.generation import GenerationOptions, generate_rows, make_generate_step
from support import scripts, table_model
from support.paths import ARRAYS

# The case of tests/arrays/generation that is generated.
CASE = ("t5", "beams, forced")


def train_scripts(out: Path, checkpoint: str, files: Path) -> None:
    """`out/glue` and `out/mlm`: what the scripts leave, with one row a device."""
    for task in ("glue", "mlm"):
        file = files / scripts.FILES[task]
        scripts.call(
            scripts.SCRIPTS[task],
            f"--model_name_or_path={checkpoint}",
            f"--train_file={file}",
            f"--validation_file={file}",
            f"--output_dir={out / task}",
            "--do_train",
            "--do_eval",
            *scripts.TRAINING,
            "--per_device_train_batch_size=1",
            "--per_device_eval_batch_size=1",
        )


def train_table(out: Path) -> None:
    """`out/table.json`: parameters, curve and times, with two parts an update and dropout."""
    values, curve, times = table_model.train(out / "table", 4, 2, rate=0.5)
    values = {name: value.tolist() for name, value in values.items()}
    (out / "table.json").write_text(json.dumps([values, curve.tolist(), times]))


def generate(out: Path) -> None:
    """`out/rows.json`: the tokens generated. Four rows: the second device has one, two none."""
    family, name = CASE
    folder = ARRAYS / "generation" / family
    options = json.loads((folder / "cases.json").read_text())[name]["options"]
    model = models.from_pretrained(folder, "seq2seq_lm")
    columns = {name: list(array) for name, array in np.load(folder / "inputs.npz").items()}
    step = make_generate_step(
        model, GenerationOptions.from_model(model, max_new_tokens=20, **options)
    )
    batches = Batches(columns, padding={}, batch_size=12, buckets=1)
    rows = [row.tolist() for row in generate_rows(step, model, batches)]
    (out / "rows.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    assert jax.device_count() == 4
    what, out, checkpoint, files = sys.argv[1:]
    Path(out).mkdir(parents=True)
    if what == "scripts":
        train_scripts(Path(out), checkpoint, Path(files))
    else:
        train_table(Path(out))
        generate(Path(out))
