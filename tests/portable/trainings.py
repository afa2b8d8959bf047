"""What the eight tasks give on this processor: `python trainings.py PROJECT OUTPUT [TASK...]`.

In a project with data, plans and tokenizers: three steps of two rows from new weights with the
embedded settings, two batches of evaluation, and eight tokens where a task generates. Prints JSON,
{family: {task: digest of the files' bytes}}. One process runs all tasks, as imports and compilers
are what an emulator takes its time for.
"""

import contextlib
import hashlib
import importlib
import json
import os
import sys
from pathlib import Path

import yaml

FAMILIES = {
    "eight tasks: the model after three steps": ("model.safetensors",),
    "eight tasks: metrics of two batches": ("eval_results.json",),
    "eight tasks: predictions": ("predictions.json", "predict_predictions.json"),
}
SMALL = {
    "max_steps": 3,
    "warmup_steps": 1,
    "logging_steps": 3,
    "eval_steps": 3,
    "length_buckets": 1,
    "per_device_train_batch_size": 2,
    "per_device_eval_batch_size": 2,
    "max_train_samples": 6,
    "max_eval_samples": 4,
    "max_predict_samples": 2,
}
OWN = {
    "mlm": {"mlm_span_start": 1},
    "clm": {"max_new_tokens": 8},
    "summarization": {"max_target_length": 8},
}
# What they predict is gaps in a text, of which a test file of the pipeline has none.
NO_PREDICTIONS = ("mlm", "t5_mlm")


def digest(paths: list[Path]) -> str:
    """Of the bytes of these files; of none, that of nothing."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def run(task: str, entry: dict, output: Path) -> None:
    """Train, evaluate and predict into `output`.

    Args:
        task: its name in params.yaml.
        entry: what tasks.yaml says of it.
        output: a folder that is made.
    """
    flags = [
        *("--params", f"tasks.{task}", "--model_name_or_path", entry["beginning"]),
        *("--from_scratch", "--do_train", "--do_eval", "--output_dir", str(output)),
    ]
    splits = ["train", "validation"]
    if task not in NO_PREDICTIONS:
        flags.append("--do_predict")
        splits.append("test")
    for split in splits:
        flags += [f"--{split}_file", f"data/{task}/{split}.{entry['suffix']}"]
    for name, value in {**SMALL, **OWN.get(task, {})}.items():
        flags += [f"--{name}", str(value)]
    script = importlib.import_module(f"stages.{entry['script']}")
    sys.argv = [entry["script"], *flags]
    with contextlib.redirect_stdout(sys.stderr):
        script.main()


def main() -> None:
    """Print all digests; what the scripts say goes to stderr."""
    project, output, *tasks = sys.argv[1:]
    output = Path(output).resolve()
    os.chdir(project)
    entries = yaml.safe_load(Path("tasks.yaml").read_text())["unrolled"]["tasks"]
    found: dict[str, dict[str, str]] = {family: {} for family in FAMILIES}
    for task in tasks or entries:
        run(task, entries[task], output / task)
        for family, names in FAMILIES.items():
            paths = [output / task / name for name in names if (output / task / name).exists()]
            found[family][task] = digest(paths)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
