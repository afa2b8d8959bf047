"""`dvc repro`, several stages at a time: `python -m stages.side_by_side [--jobs 2] [TARGET...]`.

`dvc repro` runs one stage after the other. Several `dvc repro` processes may run side by side as
long as none of them has to build a stage that another one builds too. So the graph is read once,
and every stage gets a `dvc repro --single-item` of its own as soon as all it depends on is done.
DVC releases its lock while a command runs, and the others wait for it (`--wait-for-lock`).
"""

import argparse
import json
import re
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from importlib.util import find_spec
from threading import Lock

from joblib import cpu_count

from stages.errors import InputError, command

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


def repro_one(stage: str, force: bool) -> int:
    """Reproduce one stage, its lines marked with its name; return the exit status."""
    line = [*DVC, "--wait-for-lock", "repro", "--single-item", stage]
    if force:
        line.append("--force")
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for output in process.stdout:
            if output.strip() and not ADVICE.match(output.strip()):
                say(f"[{stage}] {output.rstrip()}")
    return process.returncode


def run(needs: dict[str, set[str]], jobs: int, build, keep_going: bool = False) -> dict[str, str]:
    """Build every stage after those that it needs, at most `jobs` at a time.

    Args:
      needs: {stage: stages that it needs}.
      jobs: how many stages run at once.
      build: called with a stage's name in a thread of its own; returns an exit status.
      keep_going: after a failure, still build what does not depend on the failed stage.

    Returns:
      {stage: "done" | "failed" | "not run"}; a failed stage's dependants are never built.
    """
    fate = dict.fromkeys(needs, "not run")
    # First what most others wait for: with the pre-training left to the end, one process would
    # do the fine-tuning alone.
    waiting = {stage: len(with_dependants(needs, {stage})) for stage in needs}
    order = TopologicalSorter(needs)
    order.prepare()
    ready: list[str] = []
    running = {}
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            ready = sorted([*ready, *order.get_ready()], key=waiting.get, reverse=True)
            stop = "failed" in fate.values() and not keep_going
            # No more than `jobs` are handed to the pool, so that none waits in it after a failure.
            while ready and not stop and len(running) < jobs:
                stage = ready.pop(0)
                running[pool.submit(build, stage)] = stage
            if not running:
                return fate
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                if future.result() == 0:
                    fate[stage] = "done"
                    order.done(stage)
                else:
                    fate[stage] = "failed"


@command
def main(argv: list[str] | None = None) -> int:
    """Run the pipeline side by side; exit with 1 if any stage failed."""
    parser = argparse.ArgumentParser(prog="python -m stages.side_by_side", description=__doc__)
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
    if options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: must be at least 1")

    needs = read_graph(options.targets)
    total = len(needs)
    if not options.force:  # a process for each stage only to hear that nothing changed is slow
        status = json.loads(ask_dvc("status", "--json", *options.targets, "--with-deps"))
        due = with_dependants(needs, set(status))
        needs = {stage: upstream & due for stage, upstream in needs.items() if stage in due}
    try:
        fate = run(
            needs,
            options.jobs,
            lambda stage: repro_one(stage, options.force),
            options.keep_going,
        )
    except KeyboardInterrupt:  # the stages had the same Ctrl-C and have ended
        say("interrupted")
        return 130
    failed = [stage for stage, end in fate.items() if end == "failed"]
    if failed:
        say(f"failed: {', '.join(failed)}")
        skipped = [stage for stage, end in fate.items() if end == "not run"]
        if skipped:
            say(f"not run: {', '.join(skipped)}")
        return 1
    say(f"{total} stages are up to date, {len(fate)} of them checked or run now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
