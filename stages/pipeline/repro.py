"""`dvc repro` in parallel: `python -m stages.pipeline.repro [--jobs 2] [TARGET...]`.

`dvc repro` runs one stage at a time. Several `dvc repro` processes may run at once if no two of
them build the same stage. So this reads the graph once, and calls `dvc repro --single-item` for
each stage as soon as all stages that it depends on are done. DVC releases its lock while a command
runs, and the other processes wait for it (`--wait-for-lock`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from stages.core.errors import InputError, command
from stages.core.phases import on_terminal
from stages.core.progress import doing
from stages.pipeline.dvc_process import Stopped, forwarded_signals, run_dvc
from stages.pipeline.graph import read_graph, with_dependants
from stages.pipeline.runner import StageRunner
from stages.pipeline.simple_methods import read_baselines, read_judged
from stages.pipeline.summary import (
    FAILED,
    RAN,
    SKIPPED,
    Outcome,
    metric_lines,
    read_all_metrics,
    read_before,
    summary,
    write_before,
    write_durations,
)

# All others depend on what these write, and seldom on what changed in it.
FIRST_STAGES = ("check", "code")
# What is long, and what says beforehand whether it can be done at all.
TRAINING, PLANNING = ("train@", "train-seed@"), "plan@"


def default_jobs() -> int:
    """How many stages to run at once without `--jobs`: two if there are two cores, else one.

    Two are enough to use what a stage leaves idle while it imports, reads and compiles. With an
    accelerator it is one, since the first JAX process takes the accelerator's whole memory.
    """
    if entry_points(group="jax_plugins") or find_spec("libtpu"):  # a GPU; a TPU is no plugin
        return 1
    from joblib import cpu_count  # a quarter of a second, for who gives no number

    return min(cpu_count(), 2)


def visible_gpus(jobs: int) -> list[str]:
    """The GPUs to share out among parallel stages, one each; empty if there is nothing to share.

    Those of `CUDA_VISIBLE_DEVICES` if it is set, else all that `nvidia-smi` lists.
    """
    if jobs == 1 or not entry_points(group="jax_plugins"):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    except OSError:
        return []
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(found))]


def parallel_repro(
    needs: dict[str, set[str]],
    jobs: int,
    build: Callable[[str], Outcome],
    keep_going: bool = False,
) -> dict[str, Outcome]:
    """Build every stage after those that it needs, at most `jobs` at once.

    Args:
      needs: {stage: stages that it needs}.
      jobs: how many stages may run at once.
      build: called with a stage's name, in a thread for each running stage.
      keep_going: after a failure, still build what does not depend on the failed stage.

    Returns:
      {stage: how it ended}; nothing downstream of a failed stage is built.
    """
    outcomes = dict.fromkeys(needs, Outcome(SKIPPED))
    order = TopologicalSorter(needs)
    # First what most others wait for: if pre-training came last, one process would be left to do
    # all the fine-tuning. Of several, that which itself waited for most: such a chain is long.
    chain: dict[str, int] = {}
    for stage in TopologicalSorter(needs).static_order():
        chain[stage] = 1 + max((chain[other] for other in needs.get(stage, ())), default=0)
    urgency = {stage: (len(with_dependants(needs, {stage})), chain[stage]) for stage in needs}
    order.prepare()
    ready: list[str] = []
    running = {}
    failed = False
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            ready = sorted([*ready, *order.get_ready()], key=urgency.get, reverse=True)
            # The pool gets no more than `jobs`, so that none waits in it after a failure.
            while ready and (keep_going or not failed) and len(running) < jobs:
                stage = ready.pop(0)
                running[pool.submit(build, stage)] = stage
            if not running:
                return outcomes
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                outcomes[stage] = future.result()
                if outcomes[stage].status == FAILED:
                    failed = True
                else:
                    order.done(stage)


def plans_first(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same graph, in which nothing is trained before all is planned that needs no training."""
    plans = {stage for stage in needs if stage.startswith(PLANNING)}
    trainings = {stage for stage in needs if stage.startswith(TRAINING)}
    early = plans - with_dependants(needs, trainings)
    return {
        stage: upstream | early if stage in trainings else upstream
        for stage, upstream in needs.items()
    }


def outdated_stages(targets: list[str]) -> set[str]:
    """The stages of the targets, and before them, of which DVC finds something changed."""
    with doing("looking for what changed"):
        return set(json.loads(run_dvc("status", "--json", *targets, "--with-deps")))


def any_failed(outcomes: dict[str, Outcome]) -> bool:
    """Whether a stage failed."""
    return any(one.status == FAILED for one in outcomes.values())


def next_steps(outcomes: dict[str, Outcome]) -> list[str]:
    """What can be done with the models that were trained, called from the project's folder."""
    trained = [
        stage.partition("@")[2]
        for stage, one in outcomes.items()
        if stage.startswith("train@") and one.status == RAN
    ]
    if not trained:
        return []
    folder, project = Path.cwd(), Path("stages").resolve().parent
    inside = folder.relative_to(project) if folder.is_relative_to(project) else Path()
    profile = f" PROFILE={inside.name}" if inside.name else ""
    task = trained[-1] if profile else "TASK"  # what a profile trains first is for its last
    return [
        f"next: make report{profile}, make gate{profile}, and to predict",
        f"  .venv/bin/python -m stages.predict {inside / 'models' / task} FILE",
    ]


@command
def main(argv: list[str] | None = None) -> int:
    """Run the pipeline in parallel; exit with 1 if any stage failed."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.pipeline.repro",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "targets", nargs="*", default=["dvc.yaml"], help="stages or files (default: everything)"
    )
    parser.add_argument(
        "--jobs",
        "-j",
        type=int,
        help="stages at a time (default: 2; 1 on one core or with an accelerator)",
    )
    parser.add_argument("--force", "-f", action="store_true", help="run unchanged stages too")
    parser.add_argument(
        "--keep-going",
        "-k",
        action="store_true",
        help="after a failure, run all stages that do not depend on the failed one",
    )
    parser.add_argument(
        "--verbose",
        "-v",
        action="store_true",
        help="show the command of each stage, and all metrics at the end",
    )
    options = parser.parse_args(argv)
    try:
        with forwarded_signals():
            return run(options)
    except Stopped as stop:  # the stages had the same signal and have ended
        print(f"stopped by {stop}", flush=True)
        return 128 + stop.number


def run(options: argparse.Namespace) -> int:
    """Run what changed, or all; return the exit status."""
    jobs = default_jobs() if options.jobs is None else options.jobs
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: must be at least 1")
    gpus = visible_gpus(jobs)
    if gpus and len(gpus) < jobs:
        print(f"{jobs} jobs, but {len(gpus)} GPUs: {len(gpus)} at a time, one GPU each", flush=True)
        jobs = len(gpus)

    with doing("reading the pipeline"):
        needs = read_graph(options.targets)
    total = len(needs)
    before = read_all_metrics()
    outcomes: dict[str, Outcome] = {}
    if not options.force:  # asking DVC once is faster than once for every unchanged stage
        outdated = outdated_stages(options.targets)
        first = [stage for stage in FIRST_STAGES if stage in outdated]
        if first:
            # Until they have run, whatever depends on a file of them is downstream of a change.
            with StageRunner(first, 1, force=False, verbose=options.verbose) as runner:
                needed = {stage: needs[stage] & {*first} for stage in first}
                outcomes |= parallel_repro(needed, 1, runner)
        if first and not any_failed(outcomes):
            outdated = outdated_stages(options.targets)
        due = with_dependants(needs, outdated)
        needs = {stage: upstream & due for stage, upstream in needs.items() if stage in due}
    if not any_failed(outcomes):
        with StageRunner(needs, jobs, options.force, gpus, options.verbose) as runner:
            # What else can be done after a failure waits for nothing that it does not need.
            order = needs if options.keep_going else plans_first(needs)
            outcomes |= parallel_repro(order, jobs, runner, options.keep_going)
    write_durations(outcomes)
    after = read_all_metrics()
    if after != before:
        write_before(before)
    width = shutil.get_terminal_size().columns if on_terminal() else None
    baselines, unbeaten = read_baselines()
    told = {"verbose": options.verbose, "width": width}
    lines = summary(outcomes, before, after, baselines, unbeaten, read_judged(), **told)
    if options.verbose and not outcomes:  # the table of the last run
        lines = metric_lines(read_before() or before, after, baselines, **told)
    for line in lines:
        print(line)
    if any_failed(outcomes):
        return 1
    print(f"{total} stages are up to date, {len(outcomes)} of them checked or run now")
    for line in next_steps(outcomes):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
