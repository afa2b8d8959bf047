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

    def text(self) -> str:
        """The file as far as it is written; empty before the first row."""
        return "" if self.columns is None else self.path.read_text(encoding="utf-8")

    def restore(self, text: str) -> None:
        """Go on from what `text` gave, with the very bytes."""
        if text:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8", newline="\n")
            self.columns = next(csv.reader(text.splitlines()))


class Recorder:
    """Progress and curves of one training run.

    Args:
        steps: steps that the run will take.
        logging_steps: steps between two reports.
        plots_dir: folder of `train.csv` and `validation.csv`.
        run_dir: folder of the TensorBoard events and of `times.json`.
        done: steps after which an earlier process was cut off, and this one goes on.
    """

    def __init__(self, steps: int, logging_steps: int, plots_dir: str, run_dir: str, done: int = 0):
        # Imported here: evaluation records nothing and need not wait for protobuf.
        from tensorboardX import SummaryWriter

        self.steps = steps
        self.logging_steps = logging_steps
        self.train_curve = Curve(Path(plots_dir) / "train.csv")
        self.validation_curve = Curve(Path(plots_dir) / "validation.csv")
        self.run_dir = Path(run_dir)
        # Events after those steps are of what was lost.
        self.events = SummaryWriter(run_dir, purge_step=done + 1 if done else None)
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

    def notes(self) -> dict:
        """All that a run which goes on from here needs to write the same curves: plain data."""
        return {
            "step": self.step,
            "total": self.total,
            "count": self.count,
            "all_tokens": self.all_tokens,
            "seconds": time.perf_counter() - self.started,
            "evaluating": self.evaluating,
            "train": self.train_curve.text(),
            "validation": self.validation_curve.text(),
        }

    def go_on(self, notes: dict) -> None:
        """Take up what `notes` gave when the run was cut off, and say so."""
        self.train_curve.restore(notes["train"])
        self.validation_curve.restore(notes["validation"])
        for name in ("step", "total", "count", "all_tokens", "evaluating"):
            setattr(self, name, notes[name])
        self.started -= notes["seconds"]
        self.progress.update(self.bar, completed=self.step)
        self.say(f"goes on from step {self.step} of {self.steps}")

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
        self.say(f"stopped after step {self.step} of {self.steps}: {reason}")
        self.steps = self.step

    def say(self, line: str) -> None:
        """Print a line above the live one."""
        self.progress.console.print(line, highlight=False, soft_wrap=True)

    def evaluation(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """Record an evaluation made between two steps, which took `seconds`."""
        self.reported += seconds
        self.evaluating += seconds
        self.validation_curve.add(step, metrics)
        for name, value in metrics.items():
            self.events.add_scalar(f"validation/{name}", value, step)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self.say(f"step {step}: {figures}")

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
