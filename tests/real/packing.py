"""Tokens a second of training with and without `--pack`, on real data and on the pipeline's.

    python packing.py --data FOLDER --model FOLDER [--rounds 3] [--tasks wnut17 pawsx newsroom]

`FOLDER` of the data holds `wnut17/` and `pawsx/` as their publishers give them; the model is a
pretrained encoder. `newsroom` is the pipeline's glue, from `data/glue` with a new model of
`models/start/encoder`: run `make repro` first. The two sides of a task run in turns, each in a
separate process, once before to compile. Prints a table for docs/data.md.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from compare import COMMON, ROOT, TASKS, prepare

from stages.core.text_table import markdown_table

SIDES = {"buckets": (), "packed": ("--pack",)}
# Of glue in params.yaml.
NEWSROOM = (
    "--from_scratch --max_steps=250 --per_device_train_batch_size=64 --length_buckets=3 "
    "--max_seq_length=128"
)


def command(task: str, options: argparse.Namespace, work: Path) -> list[str]:
    """The training of a task."""
    if task == "newsroom":
        start = ROOT / "models/start/encoder"
        flags = f"--config_name={start} --tokenizer_name={start} {NEWSROOM}"
        script, train = "run_flax_glue", ROOT / "data/glue/train.csv"
    else:
        script, flags, _ = TASKS[task]
        flags = re.sub(r"--num_train_epochs=\d+", "--num_train_epochs=1", flags)
        flags += f" --model_name_or_path={options.model}"
        (work / task).mkdir(exist_ok=True)
        train, _ = prepare(task, options.data, work / task)
    return [
        sys.executable, "-m", f"stages.{script}", f"--train_file={train}", "--do_train",
        f"--output_dir={work / 'out'}", *COMMON, *flags.split(),
    ]  # fmt: skip


def measure(line: list[str], work: Path) -> tuple[dict, str]:
    """The times of one training, and what it printed."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads((work / "out/runs/times.json").read_text()), done.stdout


def row(task: str, options: argparse.Namespace, work: Path) -> list[str]:
    """A row of the table."""
    line = command(task, options, work)
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(options.rounds + 1):
        for side, flags in SIDES.items():
            times, printed = measure([*line, *flags], work)
            print(task, side, times["tokens_per_second"], times["compilations"], flush=True)
            if number:
                speeds[side].append(times["tokens_per_second"])
            if side == "packed":
                length, share = re.search(r"of (\d+) tokens, ([\d.]+)% full", printed).groups()
    ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
    medians = [f"{statistics.median(found):,.0f}" for found in speeds.values()]
    return [task, *medians, f"{statistics.median(ratios):.2f}", length, f"{share} %"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=["wnut17", "pawsx", "newsroom"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(task, options, Path(folder)) for task in options.tasks]
    head = ["rows", "buckets, tokens/s", "packed, tokens/s", "ratio", "length", "full"]
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
