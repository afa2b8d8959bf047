"""`dvc repro`, several stages at a time: `python -m stages.pipeline.repro [--jobs 2] [TARGET...]`.

`dvc repro` runs one stage after the other. Several `dvc repro` processes may run side by side as
long as none of them has to build a stage that another one builds too. So the graph is read once,
and every stage gets a `dvc repro --single-item` of its own as soon as all it depends on is done.
DVC releases its lock while a command runs, and the others wait for it (`--wait-for-lock`).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from importlib.util import find_spec
from queue import Queue
from threading import Lock

from joblib import cpu_count

from stages.core.errors import InputError, command
from stages.pipeline.summary import (
    CACHED,
    FAILED,
    RAN,
    SKIPPED,
    Outcome,
    note_seconds,
    read_figures,
    summary,
)

DVC = (sys.executable, "-m", "dvc")
# The only two lines of `dvc dag --dot` that matter: `"stage";` and `"upstream" -> "stage";`.
DOT_LINE = re.compile(r'^"([^"]+)"(?: -> "([^"]+)")?;$')
# What DVC says after every stage, and what would bury the rest when said for each of them.
ADVICE = re.compile(
    r"To track the changes with git, run:|git add |To enable auto staging, run:"
    r"|dvc config core.autostage|Use `dvc push`|(Updating|Generating) lock file|Data and pipelines"
)
TERMINAL = Lock()


def usual_jobs() -> int:
    """How many stages to run at once where nobody says: two if there are two cores, else one.

    Two are enough to fill what a stage leaves idle while it imports, reads and compiles. One where
    JAX has an accelerator: its memory is taken by the first process that asks.
    """
    if entry_points(group="jax_plugins") or find_spec("libtpu"):  # a GPU; a TPU is no plugin
        return 1
    return min(cpu_count(), 2)


def say(line: str) -> None:
    """Print one whole line at a time, whatever the other threads print."""
    with TERMINAL:
        print(line, flush=True)


def parse_dot(text: str) -> dict[str, set[str]]:
    """Read what `dvc dag --dot` prints as {stage: stages that it needs}."""
    needs: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = DOT_LINE.match(line.strip())
        if not match:
            continue
        first, second = match.groups()
        needs.setdefault(first, set())
        if second:
            needs.setdefault(second, set()).add(first)
    return needs


def ask_dvc(*arguments: str) -> str:
    """Return what a DVC command prints; an `InputError` with its reason if it fails."""
    answer = subprocess.run([*DVC, *arguments], capture_output=True, text=True)
    if answer.returncode:
        reason = " ".join(answer.stderr.split()) or f"exit status {answer.returncode}"
        raise InputError(f"dvc {' '.join(arguments)}: {reason}")
    return answer.stdout


def read_graph(targets: list[str]) -> dict[str, set[str]]:
    """Return {stage: stages that it needs} of the targets and everything before them."""
    needs: dict[str, set[str]] = {}
    for target in targets:
        for stage, upstream in parse_dot(ask_dvc("dag", "--dot", target)).items():
            needs.setdefault(stage, set()).update(upstream)
    return needs


def with_dependants(needs: dict[str, set[str]], changed: set[str]) -> set[str]:
    """Return the stages of `changed` and all that need one of them, however far down."""
    found: set[str] = set()
    for stage in TopologicalSorter(needs).static_order():
        if stage in changed or needs[stage] & found:
            found.add(stage)
    return found


def devices(jobs: int) -> list[str]:
    """The GPUs to give to stages that run side by side, one each; none where there is no choice.

    Those of `CUDA_VISIBLE_DEVICES` if it is set, else all that `nvidia-smi` lists.
    """
    if jobs == 1 or not entry_points(group="jax_plugins"):
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    except OSError:
        return []
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(found))]


class Repro:
    """`repro(stage)` reproduces one stage, its lines marked with its name.

    Args:
        force: run it even if nothing changed.
        free: GPUs that are not in use, of which it takes one while it runs; None to leave alone
            what its commands see.
    """

    def __init__(self, force: bool, free: Queue | None = None):
        self.force = force
        self.free = free

    def __call__(self, stage: str) -> Outcome:
        """Run it to its end, and say how it ended."""
        device = self.free.get() if self.free else None
        try:
            return self._run(stage, device)
        finally:
            if self.free:
                self.free.put(device)

    def _run(self, stage: str, device: str | None) -> Outcome:
        line = [*DVC, "--wait-for-lock", "repro", "--single-item", stage]
        if self.force:
            line.append("--force")
        begin = time.perf_counter()
        ran, errors = False, []
        with subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": device} if device else None,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for output in process.stdout:
                said = output.rstrip()
                ran |= said.startswith("Running stage ")
                if said.startswith(("error:", "ERROR:")):
                    errors.append(said)
                if said.strip() and not ADVICE.match(said.strip()):
                    say(f"[{stage}] {said}")
        seconds = time.perf_counter() - begin
        if process.returncode:
            # A stage's own line says more than DVC's, which comes after it.
            return Outcome(FAILED, seconds, errors[0] if errors else "see its lines above")
        return Outcome(RAN if ran else CACHED, seconds)


def run(
    needs: dict[str, set[str]],
    jobs: int,
    build: Callable[[str], Outcome],
    keep_going: bool = False,
) -> dict[str, Outcome]:
    """Build every stage after those that it needs, at most `jobs` at a time.

    Args:
      needs: {stage: stages that it needs}.
      jobs: how many stages run at once.
      build: called with a stage's name in a thread of its own.
      keep_going: after a failure, still build what does not depend on the failed stage.

    Returns:
      {stage: how it ended}; a failed stage's dependants are never built.
    """
    ended = dict.fromkeys(needs, Outcome(SKIPPED))
    # First what most others wait for: with the pre-training left to the end, one process would
    # do the fine-tuning alone.
    waiting = {stage: len(with_dependants(needs, {stage})) for stage in needs}
    order = TopologicalSorter(needs)
    order.prepare()
    ready: list[str] = []
    running = {}
    failed = False
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            ready = sorted([*ready, *order.get_ready()], key=waiting.get, reverse=True)
            # No more than `jobs` are handed to the pool, so that none waits in it after a failure.
            while ready and (keep_going or not failed) and len(running) < jobs:
                stage = ready.pop(0)
                running[pool.submit(build, stage)] = stage
            if not running:
                return ended
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                ended[stage] = future.result()
                if ended[stage].fate == FAILED:
                    failed = True
                else:
                    order.done(stage)


@command
def main(argv: list[str] | None = None) -> int:
    """Run the pipeline side by side; exit with 1 if any stage failed."""
    parser = argparse.ArgumentParser(prog="python -m stages.pipeline.repro", description=__doc__)
    parser.add_argument("targets", nargs="*", default=["dvc.yaml"], help="default: all stages")
    parser.add_argument(
        "--jobs",
        "-j",
        type=int,
        default=usual_jobs(),
        help="stages at a time (default: 2; 1 on one core or with an accelerator)",
    )
    parser.add_argument("--force", "-f", action="store_true", help="run unchanged stages too")
    parser.add_argument(
        "--keep-going", "-k", action="store_true", help="go on with what a failure leaves possible"
    )
    options = parser.parse_args(argv)
    jobs = options.jobs
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: must be at least 1")
    gpus = devices(jobs)
    if gpus and len(gpus) < jobs:
        say(f"{jobs} jobs, but {len(gpus)} GPUs: {len(gpus)} at a time, one GPU each")
        jobs = len(gpus)
    free = Queue() if gpus else None
    for gpu in gpus:
        free.put(gpu)

    needs = read_graph(options.targets)
    total = len(needs)
    if not options.force:  # a process for each stage only to hear that nothing changed is slow
        status = json.loads(ask_dvc("status", "--json", *options.targets, "--with-deps"))
        due = with_dependants(needs, set(status))
        needs = {stage: upstream & due for stage, upstream in needs.items() if stage in due}
    before = read_figures()
    try:
        ended = run(needs, jobs, Repro(options.force, free), options.keep_going)
    except KeyboardInterrupt:  # the stages had the same Ctrl-C and have ended
        say("interrupted")
        return 130
    note_seconds(ended)
    for line in summary(ended, before, read_figures()):
        say(line)
    if any(one.fate == FAILED for one in ended.values()):
        return 1
    say(f"{total} stages are up to date, {len(ended)} of them checked or run now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
