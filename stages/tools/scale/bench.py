"""The commands that are measured, on made-up files, with a cache of their own."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import stages
from stages.core.errors import InputError
from stages.core.files import write_json
from stages.tasks.registry import TASKS
from stages.tools.scale.models import FAMILIES, make_model
from stages.tools.scale.processes import Usage, measure
from stages.tools.scale.rows import PROMPTS, ROWS, write_clips, write_rows

STEPS = 5
# Rows of a batch. Evaluation spreads its rows evenly over as many batches as this takes: beyond
# BATCH x (BATCH - 1) rows, 992, each has as many whatever the size, and one program serves all.
BATCH = 32
# Rows of the splits that are there because `fetch` wants them.
HELD_OUT = 100
# One length of batches, the same at every size: then no size compiles a program of its own.
OWN = {
    "glue": ("--max_seq_length=64",),
    "ner": ("--max_seq_length=48",),
    "qa": ("--max_seq_length=96", "--doc_stride=32"),
    "mlm": ("--max_seq_length=64",),
    "clm": ("--block_size=64",),
    "t5_mlm": ("--max_seq_length=64",),
    "summarization": ("--max_source_length=64", "--max_target_length=24"),
    "speech": ("--max_label_length=16",),
}
GENERATION = {
    "clm": ("--max_new_tokens=16",),
    "t5_mlm": ("--max_new_tokens=16",),
    "summarization": ("--predict_with_generate",),
}


class Bench:
    """Runs commands below a folder of its own.

    Args:
        work: the folder; it holds the files, their cache, and what the commands write.
    """

    def __init__(self, work: Path):
        self.work = work
        root = str(Path(stages.__file__).parents[1])
        paths = [root, os.environ.get("PYTHONPATH")]
        self.environment = {
            **os.environ,
            # The code that is measured is that of this process.
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "XDG_CACHE_HOME": str(work / "cache"),
            "HF_HOME": str(work / "hub"),
            "HF_DATASETS_CACHE": str(work / "hub" / "datasets"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        }

    def run(self, module: str, *words, until: str | None = None) -> Usage:
        """Run a module of `stages`; see `stages.tools.scale.processes.measure`."""
        command = [sys.executable, "-m", f"stages.{module}", *words]
        return measure(command, self.environment, until)

    def say(self, what: str, rows: int, usage: Usage) -> None:
        """Print a measurement as it is made."""
        print(f"{what}, {rows} rows: {usage.seconds:.1f} s, {usage.peak_mb:.0f} MB", flush=True)

    def forget(self) -> None:
        """Remove rows and tokens that were kept, but no compiled program."""
        for folder in ("cache/flaxmill/rows", "cache/flaxmill/features", "hub"):
            shutil.rmtree(self.work / folder, ignore_errors=True)

    def clear(self, task: str) -> None:
        """Remove a task's files and all that was kept of them."""
        shutil.rmtree(self.work / task, ignore_errors=True)
        self.forget()

    def model(self, name: str) -> Path:
        """The folder of configuration and tokenizer of a model; see `make_model`."""
        folder = self.work / "models" / name
        return folder if folder.exists() else make_model(folder, name)

    def source(self, task: str, rows: int) -> Path:
        """A folder with `train` of so many rows, `validation` and `test`."""
        folder = self.work / task / str(rows) / "source"
        for split, count in (("train", rows), ("validation", HELD_OUT), ("test", HELD_OUT)):
            if (folder / split).exists() or list(folder.glob(f"{split}.*")):
                continue
            count = min(rows, count)
            if task == "speech":
                write_clips(folder / split, count)
            else:
                make, suffix = ROWS[task]
                write_rows(folder / f"{split}{suffix}", make, count)
        return folder

    def fetch(self, task: str, rows: int) -> Usage:
        """Fetch a source into `fetched`."""
        source = self.source(task, rows)
        params = source.parent / "params.yaml"
        # JSON is YAML.
        write_json(params, {"tasks": {task: {"data": {"source": str(source)}}}})
        target = source.parent / "data"
        return self.run("pipeline.fetch", task, "--params_file", params, "--output_dir", target)

    def fetched(self, task: str, rows: int) -> Path:
        """The training file that `fetch` wrote, which is called if it was not."""
        path = self.work / task / str(rows) / "data" / f"train{TASKS[task].suffix}"
        if not path.exists():
            self.fetch(task, rows)
        return path

    def train(
        self, task: str, rows: int, steps: int = STEPS, model_name: str | None = None
    ) -> Usage:
        """Train on the fetched file, new weights, into `trained`; reached is the first step.

        The model is the small one of the task's family, unless another is named.
        """
        data, target = self.fetched(task, rows), self.trained(task)
        model = self.model(model_name or FAMILIES[task])
        shutil.rmtree(target, ignore_errors=True)
        return self.run(
            TASKS[task].script,
            f"--config_name={model}",
            f"--tokenizer_name={model}",
            "--from_scratch",
            f"--train_file={data}",
            f"--output_dir={target}",
            "--do_train",
            f"--max_steps={steps}",
            "--logging_steps=1",
            f"--per_device_train_batch_size={BATCH}",
            "--length_buckets=1",
            *OWN[task],
            until="step 1/",
        )

    def trained(self, task: str) -> Path:
        """The folder of the last training of a task."""
        return self.work / task / "trained"

    def times(self, task: str) -> dict:
        """What the last training says of its time."""
        return json.loads((self.trained(task) / "runs" / "times.json").read_text(encoding="utf-8"))

    def evaluate(self, task: str, rows: int) -> Usage:
        """Score rows with the trained model."""
        make, suffix = ROWS[task]
        return self._score(task, f"evaluate{suffix}", make, rows, "--do_eval", "--validation_file")

    def generate(self, task: str, rows: int) -> Usage:
        """Generate text from rows with the trained model."""
        make, suffix = PROMPTS[task]
        words = ("--do_predict", *GENERATION[task], "--test_file")
        return self._score(task, f"generate{suffix}", make, rows, *words)

    def _score(self, task: str, name: str, make: Callable, rows: int, *words: str) -> Usage:
        """Run a task's script on rows; the last of `words` is the flag of their file."""
        folder = self.work / task / f"{name.partition('.')[0]}-{rows}"
        path = folder / name
        if not path.exists():
            write_rows(path, make, rows)
        *flags, file = words
        return self.run(
            TASKS[task].script,
            f"--model_name_or_path={self.trained(task)}",
            f"{file}={path}",
            f"--output_dir={folder / 'out'}",
            f"--per_device_eval_batch_size={BATCH}",
            "--length_buckets=1",
            *flags,
            *OWN[task],
        )

    def last_json(self, usage: Usage) -> dict:
        """The object that a command printed as its last line."""
        try:
            return json.loads(usage.lines[-1])
        except (IndexError, ValueError):
            raise InputError(f"a command printed {usage.lines[-1:]} instead of figures") from None
