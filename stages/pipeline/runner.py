"""`dvc repro` on one stage in a process for it alone."""

import re
import time
from collections.abc import Collection
from queue import Queue
from threading import Lock

from stages.core.phases import format_duration
from stages.pipeline.dvc_process import DvcProcess
from stages.pipeline.screen import make_screen
from stages.pipeline.summary import CACHED, FAILED, RAN, Outcome, read_durations

# What DVC prints after every stage; once per stage it would bury the rest.
ADVICE = re.compile(
    r"To track the changes with git, run:|git add |To enable auto staging, run:"
    r"|dvc config core.autostage|Use `dvc push`|(Updating|Generating) lock file|Data and pipelines"
)


class StageRunner:
    """`runner(stage)` runs `dvc repro` on one stage, and marks its lines with its name.

    To be used as a context, which shows how far the run is.

    Args:
        stages: all that will run.
        jobs: how many of them at once.
        force: run a stage even if nothing changed.
        gpus: those to choose from, one for each running stage; empty to leave the choice to JAX.
        verbose: show the command of each stage on a terminal, too.
    """

    def __init__(
        self,
        stages: Collection[str],
        jobs: int,
        force: bool,
        gpus: Collection[str] = (),
        verbose: bool = False,
    ):
        self.force = force
        self.jobs = jobs
        self.gpus = Queue() if gpus else None
        for gpu in gpus:
            self.gpus.put(gpu)
        durations = read_durations()
        self.expected = {stage: durations.get(stage) for stage in stages}
        self.begun: dict[str, float] = {}
        self.lock = Lock()
        self.screen = make_screen(len(stages), self.remaining, verbose)

    def __enter__(self):
        self.screen.__enter__()
        return self

    def __exit__(self, *exception):
        self.screen.__exit__(*exception)

    def remaining(self) -> float | None:
        """Seconds that are left if each stage takes as long as it last did; None if unknown."""
        now, total = time.perf_counter(), 0.0
        begun = dict(self.begun)  # other threads begin and end stages
        for stage, seconds in dict(self.expected).items():
            if seconds is None:
                return None
            total += max(seconds - (now - begun.get(stage, now)), 0.0)
        return total / self.jobs

    def __call__(self, stage: str) -> Outcome:
        """Run the stage to its end."""
        gpu = self.gpus.get() if self.gpus else None
        environment = {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
        self.begun[stage] = time.perf_counter()
        try:
            outcome = self._run(stage, environment | self.screen.begin(stage))
        finally:
            if self.gpus:
                self.gpus.put(gpu)
        with self.lock:
            del self.expected[stage], self.begun[stage]
            how = f"{outcome.status} in {format_duration(outcome.seconds)}"
            self.screen.end(stage, how, outcome.status == FAILED)
        return outcome

    def _run(self, stage: str, environment: dict[str, str]) -> Outcome:
        force = ("--force",) if self.force else ()
        process = DvcProcess(
            "--wait-for-lock", "repro", "--single-item", *force, stage,
            environment=environment, merged=True,
        )  # fmt: skip
        ran, errors = False, []
        for output in process.lines():
            text = output.rstrip()
            ran |= text.startswith("Running stage ")
            if text.startswith(("error:", "ERROR:")):
                errors.append(text)
            if text.strip() and not ADVICE.match(text.strip()):
                self.screen.print(stage, text)
        seconds = time.perf_counter() - self.begun[stage]
        if process.wait():
            # A stage's own line says more than DVC's, which comes after it.
            return Outcome(FAILED, seconds, errors[0] if errors else "see its lines above")
        return Outcome(RAN if ran else CACHED, seconds)
