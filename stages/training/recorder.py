"""What a run tells while it goes: a live line, curves for `dvc plots`, TensorBoard events."""

import csv
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Curve:
    """A CSV file with a row each `add`; the same bytes in each run that gives the same figures."""

    def __init__(self, path: Path):
        self.path = path
        self.columns: list[str] | None = None

    def add(self, step: int, values: dict[str, float]) -> None:
        """Append one row; the first call writes the header and replaces an earlier file."""
        row = {"step": step, **values}
        first = self.columns is None
        if first:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.columns = list(row)
        with self.path.open("w" if first else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n", extrasaction="ignore")
            if first:
                writer.writeheader()
            writer.writerow(row)


class Recorder:
    """Progress and curves of one training run.

    Args:
        steps: steps that the run will take.
        logging_steps: steps between two reports.
        plots_dir: folder of `train.csv` and `validation.csv`.
        run_dir: folder of the TensorBoard events and of `times.json`.
    """

    def __init__(self, steps: int, logging_steps: int, plots_dir: str, run_dir: str):
        # Imported here: evaluation records nothing and need not wait for protobuf.
        from tensorboardX import SummaryWriter

        self.steps = steps
        self.logging_steps = logging_steps
        self.train_curve = Curve(Path(plots_dir) / "train.csv")
        self.validation_curve = Curve(Path(plots_dir) / "validation.csv")
        self.run_dir = Path(run_dir)
        self.events = SummaryWriter(run_dir)
        self.started = self.reported = time.perf_counter()
        self.total = self.count = 0.0
        self.tokens = self.all_tokens = 0
        self.step, self.learning_rate = 0, 0.0
        self.evaluating = 0.0
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            disable=not sys.stdout.isatty(),
            transient=False,
        )
        self.bar = self.progress.add_task("training", total=steps, figures="compiling")

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *exception):
        self.progress.stop()
        self.events.close()

    def train_step(
        self, step: int, total: float, count: float, tokens: int, learning_rate: float
    ) -> None:
        """Count one step in; report where `logging_steps` says so.

        Args:
            step: steps done, from 1.
            total: sum of the losses of the step's batch.
            count: what they were summed over.
            tokens: real tokens of the batch, padding left out.
            learning_rate: that of the step.
        """
        self.total += total
        self.count += count
        self.tokens += tokens
        self.all_tokens += tokens
        self.step, self.learning_rate = step, learning_rate
        self.progress.update(self.bar, completed=step)
        if step % self.logging_steps == 0 or step == self.steps:
            self._report()

    def _report(self) -> None:
        """Tell the mean loss since the last report, and the learning rate of the last step."""
        now = time.perf_counter()
        loss = self.total / max(self.count, 1.0)
        speed = self.tokens / (now - self.reported)
        self.train_curve.add(self.step, {"loss": loss, "learning_rate": self.learning_rate})
        self.events.add_scalar("train/loss", loss, self.step)
        self.events.add_scalar("train/learning_rate", self.learning_rate, self.step)
        self.events.add_scalar("train/tokens_per_second", speed, self.step)
        figures = f"loss {loss:.4f}  {speed:,.0f} tokens/s"
        self.progress.update(self.bar, figures=figures)
        if self.progress.disable:
            left = (now - self.started) / self.step * (self.steps - self.step)
            line = f"step {self.step}/{self.steps}  {figures}  {_clock(left)} left"
            print(line, flush=True)
        self.total = self.count = 0.0
        self.tokens = 0
        self.reported = now

    def stop(self, reason: str) -> None:
        """End before the last step: report what is not reported yet, and say why."""
        if self.step % self.logging_steps:
            self._report()
        self._say(f"stopped after step {self.step} of {self.steps}: {reason}")
        self.steps = self.step

    def _say(self, line: str) -> None:
        self.progress.console.print(line, highlight=False, soft_wrap=True)

    def evaluation(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """Record an evaluation made between two steps, which took `seconds`."""
        self.reported += seconds
        self.evaluating += seconds
        self.validation_curve.add(step, metrics)
        for name, value in metrics.items():
            self.events.add_scalar(f"validation/{name}", value, step)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self._say(f"step {step}: {figures}")

    def write_times(self, **more) -> None:
        """Write `run_dir/times.json`: seconds and speed, and the machine they were taken on.

        Tokens are real ones: those of the attention mask, or where there is none the scored ones.
        """
        seconds = time.perf_counter() - self.started
        times = {
            "train_seconds": seconds,
            "evaluation_seconds_within": self.evaluating,
            "steps": self.steps,
            "tokens": self.all_tokens,
            "tokens_per_second": self.all_tokens / max(seconds - self.evaluating, 1e-9),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            **more,
        }
        (self.run_dir / "times.json").write_text(json.dumps(times, indent=1) + "\n")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
