"""What is measured: a function a part, which gives the figures of a task as rows of its table."""

import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stages.tools.scale.bench import GENERATION, Bench
from stages.tools.scale.metric import CASES, result_row
from stages.tools.scale.models import EMBEDDED, FAMILIES
from stages.tools.scale.processes import Usage
from stages.tools.scale.rows import ROWS, write_rows

TASKS = (*ROWS, "speech")
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Rows of each part, and the steps of the one that measures waiting."""

    train: list[int] = field(default_factory=lambda: [10_000, 1_000_000])
    evaluate: list[int] = field(default_factory=lambda: [10_000, 200_000])
    generate: list[int] = field(default_factory=lambda: [1_000, 20_000])
    metric: list[int] = field(default_factory=lambda: [10_000, 1_000_000])
    clip: list[int] = field(default_factory=lambda: [500, 20_000])
    growth: list[int] = field(default_factory=lambda: [10_000, 100_000, 1_000_000, 10_000_000])
    wait_steps: int = 200


Rows = list[dict]
# The name of a line's subject, and its figures.
Figures = Iterator[tuple[str, Rows]]


def entry(rows: int, usage: Usage, **more) -> dict:
    """A row of a table: seconds and MB."""
    return {
        "rows": rows,
        **more,
        "seconds": round(usage.seconds, 2),
        "peak_mb": round(usage.peak_mb, 1),
    }


def at_sizes(bench: Bench, what: str, sizes: list[int], run: Callable[[int], Usage]) -> Rows:
    """Measure a command at each size, with nothing kept of the rows.

    Once before, at the smallest: then programs are compiled and libraries read from the disk.
    """
    run(min(sizes))
    rows = []
    for size in sorted(sizes):
        bench.forget()
        usage = run(size)
        bench.say(what, size, usage)
        rows.append(entry(size, usage))
    return rows


def fetch(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Bring a task's file to its standard form."""
    yield task, at_sizes(bench, f"fetch {task}", sizes.train, lambda n: bench.fetch(task, n))


def train(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Five steps, with nothing kept and again with rows and tokens in the cache."""
    yield task, starts(bench, task, sizes.train)


def starts(bench: Bench, task: str, sizes: list[int], **options) -> Rows:
    """First and second start at each size; `options` of `Bench.train`."""
    bench.train(task, min(sizes), **options)
    what = " ".join([task, *options.values()])
    rows = []
    for size in sorted(sizes):
        bench.fetched(task, size)
        bench.forget()
        for start in ("first", "second"):
            usage = bench.train(task, size, **options)
            bench.say(f"train {what}, {start} start", size, usage)
            rows.append(entry(size, usage, start=start, to_step_1=round(usage.reached, 2)))
    return rows


def evaluate(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Scores of the trained model on a file."""
    _have_model(bench, task, sizes)
    yield (
        task,
        at_sizes(bench, f"evaluate {task}", sizes.evaluate, lambda n: bench.evaluate(task, n)),
    )


def generate(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Text that the trained model writes, greedily."""
    if task in GENERATION:
        _have_model(bench, task, sizes)
        yield (
            task,
            at_sizes(bench, f"generate {task}", sizes.generate, lambda n: bench.generate(task, n)),
        )


def _have_model(bench: Bench, task: str, sizes: Sizes) -> None:
    if not bench.trained(task).exists():
        bench.train(task, min(sizes.train))


def metrics(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """A task's metrics, fed predictions from a file."""
    for name, case in CASES.items():
        if case.task == task:

            def run(rows: int, name: str = name) -> Usage:
                path = bench.work / task / f"{name}-{rows}.json"
                if not path.exists():
                    write_rows(path, result_row(name), rows)
                return bench.run("tools.scale.metric", name, path)

            yield name, at_sizes(bench, f"metric {name}", sizes.metric, run)


def speech(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Fetch and train on clips; features are made in training."""
    if task == "speech":
        yield "fetch", at_sizes(bench, "fetch clips", sizes.clip, lambda n: bench.fetch(task, n))
        rows = starts(bench, task, sizes.clip)
        for start in ("first", "second"):
            yield f"train, {start} start", [row for row in rows if row["start"] == start]


def throughput(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Reading and tokenising pairs, beside `datasets`, in turns."""
    if task != "glue":
        return
    rows = max(sizes.train)
    path, model = bench.source(task, rows) / "train.csv", bench.model(FAMILIES[task])
    seconds: dict[str, list[float]] = {"flaxmill": [], "datasets": []}
    peaks = dict.fromkeys(seconds, 0.0)
    for _ in range(ROUNDS):
        for side, found in seconds.items():
            bench.forget()
            usage = bench.run("tools.scale.reading", side, path, model)
            found.append(bench.last_json(usage)["seconds"])
            peaks[side] = max(peaks[side], usage.peak_mb)
            bench.say(f"read and tokenise, {side}", rows, usage)
    ratios = [b / a for a, b in zip(seconds["flaxmill"], seconds["datasets"], strict=True)]
    speeds = {side: rows / statistics.median(found) for side, found in seconds.items()}
    yield (
        task,
        [
            {
                "rows": rows,
                "side": side,
                "seconds": [round(one, 2) for one in found],
                "rows_per_second": round(speeds[side], 1),
                "peak_mb": round(peaks[side], 1),
                "ratio": round(statistics.median(ratios), 3) if side == "flaxmill" else 1.0,
            }
            for side, found in seconds.items()
        ],
    )


def waits(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """The share of a training's time in which a step waited for its rows."""
    if task == "speech":
        size = max(sizes.clip)
    else:
        size = max(sizes.train)
    usage = bench.train(task, size, steps=sizes.wait_steps)
    bench.say(f"train {task}, {sizes.wait_steps} steps", size, usage)
    times = bench.times(task)
    loop = times["train_seconds"] - times["evaluation_seconds_within"]
    waited = times["input_wait_seconds"]
    row = {"rows": size, "steps": times["steps"], "loop_seconds": loop, "wait_seconds": waited}
    yield task, [{**row, "share": waited / loop}]


def encoder(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """First and second start with a model of the size that the embedded default has."""
    if task == "glue":
        yield task, starts(bench, task, sizes.train, model_name=EMBEDDED)


def growth(bench: Bench, task: str, sizes: Sizes) -> Figures:
    """Fetch, first and second start on more and more text."""
    if task != "clm":
        return
    bench.train(task, min(sizes.growth))
    rows = []
    for size in sorted(sizes.growth):
        fetching = bench.fetch(task, size)
        bench.say("growth: fetch clm", size, fetching)
        bench.forget()
        usages = {"fetch": fetching}
        for start in ("first", "second"):
            usages[start] = bench.train(task, size)
            bench.say(f"growth: train clm, {start} start", size, usages[start])
        row = {"rows": size}
        for name, usage in usages.items():
            row[f"{name}_seconds"] = round(usage.seconds, 2)
            row[f"{name}_mb"] = round(usage.peak_mb, 1)
        rows.append(row)
        # The largest alone takes gigabytes; a size that other parts use is made again.
        shutil.rmtree(bench.work / task / str(size))
        bench.forget()
    yield task, rows


PARTS: dict[str, Callable[[Bench, str, Sizes], Figures]] = {
    "fetch": fetch,
    "train": train,
    "evaluate": evaluate,
    "generate": generate,
    "metrics": metrics,
    "speech": speech,
    "throughput": throughput,
    "waits": waits,
    # After those that need the small model trained.
    "encoder": encoder,
    "growth": growth,
}
# Those that run the script of a text task.
_TEXT_ONLY = ("fetch", "train", "evaluate", "generate")


def measure_task(
    bench: Bench, task: str, parts: list[str], sizes: Sizes
) -> Iterator[tuple[str, str, Rows]]:
    """Part, subject and figures, as they are measured."""
    for part, run in PARTS.items():
        if part in parts and not (task == "speech" and part in _TEXT_ONLY):
            for subject, rows in run(bench, task, sizes):
                yield part, subject, rows
