"""A run's log: a live progress line, curves for `dvc plots`, TensorBoard events."""

import csv
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.core.metric_names import chosen
from stages.core.progress import Progress


class Curve:
    """A CSV file, to which each `add` appends a row; the same figures give the same bytes."""

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
        """The file's content so far; empty before the first row."""
        return "" if self.columns is None else self.path.read_text(encoding="utf-8")

    def restore(self, text: str) -> None:
        """The inverse of `text`: write the file again, byte for byte."""
        if text:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8", newline="\n")
            self.columns = next(csv.reader(text.splitlines()))


class Logger:
    """Progress and curves of one training run.

    Args:
        steps: steps of the whole run.
        logging_steps: steps between two reports.
        plots_dir: folder of `train.csv` and `validation.csv`.
        run_dir: folder of the TensorBoard events and of `times.json`.
        done: steps that an earlier process did, from whose state this one resumes.
        judged_by: the metrics of an evaluation that are printed; the curves have all of them.
    """

    def __init__(
        self,
        steps: int,
        logging_steps: int,
        plots_dir: str,
        run_dir: str,
        done: int = 0,
        judged_by: Sequence[str] = (),
    ):
        # Imported here: evaluation logs nothing and need not wait for protobuf.
        from tensorboardX import SummaryWriter

        self.steps, self.judged_by = steps, judged_by
        self.logging_steps = logging_steps
        self.train_curve = Curve(Path(plots_dir) / "train.csv")
        self.validation_curve = Curve(Path(plots_dir) / "validation.csv")
        self.run_dir = Path(run_dir)
        if not done:
            # TensorBoard takes all events of a folder for one run: two trainings would be one curve
            # that goes back to step 0.
            for earlier in self.run_dir.glob("events.out.tfevents.*"):
                earlier.unlink()
        # Later events of the earlier process belong to steps that are repeated.
        self.events = SummaryWriter(run_dir, purge_step=done + 1 if done else None)
        self.reported = time.perf_counter()
        self.total = self.count = 0.0
        self.tokens = self.all_tokens = 0
        self.step, self.learning_rate = 0, 0.0
        self.evaluating = self.waiting = 0.0
        self.progress = Progress("training", "step", steps)

    def state_dict(self) -> dict:
        """What a resumed run needs to write the same curves: plain data."""
        return {
            "step": self.step,
            "total": self.total,
            "count": self.count,
            "all_tokens": self.all_tokens,
            "seconds": self.progress.seconds,
            "evaluating": self.evaluating,
            "train": self.train_curve.text(),
            "validation": self.validation_curve.text(),
        }

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`; says from which step the run resumes."""
        self.train_curve.restore(state["train"])
        self.validation_curve.restore(state["validation"])
        for name in ("step", "total", "count", "all_tokens", "evaluating"):
            setattr(self, name, state[name])
        self.progress.resume(self.step, state["seconds"])
        self.print(f"resuming from step {self.step} of {self.steps}")

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *exception):
        self.progress.stop()
        self.events.close()

    def log_step(
        self, step: int, total: float, count: float, tokens: int, learning_rate: float
    ) -> None:
        """Add the figures of one step; report them every `logging_steps` and at the last step.

        Args:
            step: steps done, from 1.
            total: sum of the losses of the step's batch.
            count: number of things summed.
            tokens: real tokens of the batch, without padding.
            learning_rate: that of the step.
        """
        self.total += total
        self.count += count
        self.tokens += tokens
        self.all_tokens += tokens
        self.step, self.learning_rate = step, learning_rate
        self.progress.update(step)
        if step % self.logging_steps == 0 or step == self.steps:
            self._report()

    def _report(self) -> None:
        """Report the mean loss since the last report, and the learning rate of the last step."""
        now = time.perf_counter()
        loss = self.total / max(self.count, 1.0)
        speed = self.tokens / (now - self.reported)
        self.train_curve.add(self.step, {"loss": loss, "learning_rate": self.learning_rate})
        self.events.add_scalar("train/loss", loss, self.step)
        self.events.add_scalar("train/learning_rate", self.learning_rate, self.step)
        self.events.add_scalar("train/tokens_per_second", speed, self.step)
        self.progress.report(self.step, f"loss {loss:.4f}  {speed:,.0f} tokens/s")
        self.total = self.count = 0.0
        self.tokens = 0
        self.reported = now

    def stop(self, reason: str) -> None:
        """End before the last step: report what is not yet reported, and say why."""
        if self.step % self.logging_steps:
            self._report()
        self.print(f"stopped after step {self.step} of {self.steps}: {reason}")
        self.steps = self.step

    def print(self, line: str) -> None:
        """Print a line above the progress line."""
        self.progress.print(line)

    def log_evaluation(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """Log an evaluation after `step` steps, which took `seconds`."""
        self.reported += seconds
        self.evaluating += seconds
        self.validation_curve.add(step, metrics)
        for name, value in metrics.items():
            self.events.add_scalar(f"validation/{name}", value, step)
        names = chosen(metrics, self.judged_by)
        figures = "  ".join(f"{name} {metrics[name]:.4g}" for name in names)
        self.print(f"step {step}: {figures}")

    def timed(self, batches: Iterator) -> Iterator:
        """The batches; how long each was waited for counts in `times.json`."""
        while True:
            begin = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.waiting += time.perf_counter() - begin
            yield batch

    def write_times(self, **more) -> None:
        """Write `run_dir/times.json`: seconds, tokens a second, and the machine; and `more`.

        Tokens are those of the attention mask, or where there is none the scored ones.
        """
        seconds = self.progress.seconds
        times = {
            "train_seconds": seconds,
            "evaluation_seconds_within": self.evaluating,
            "input_wait_seconds": self.waiting,
            "steps": self.steps,
            "tokens": self.all_tokens,
            "tokens_per_second": self.all_tokens / max(seconds - self.evaluating, 1e-9),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            **more,
        }
        (self.run_dir / "times.json").write_text(json.dumps(times, indent=1) + "\n")
