"""How far the reading is: a live line on a terminal, one line each tenth elsewhere."""

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Tally:
    """Counts utterances up to `total`; to be used as a context."""

    def __init__(self, total: int):
        self.total = total
        self.done = 0
        self.started = time.perf_counter()
        self.progress = Progress(
            TextColumn("speaking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            disable=not sys.stdout.isatty(),
        )
        self.bar = self.progress.add_task("speaking", total=total, speed="")

    def __enter__(self) -> "Tally":
        self.progress.start()
        return self

    def __exit__(self, *error):
        self.progress.stop()

    def add(self) -> None:
        """Count one in."""
        self.done += 1
        pace = (time.perf_counter() - self.started) / self.done
        speed = f"{1 / pace:.0f} utterances/s"
        self.progress.update(self.bar, completed=self.done, speed=speed)
        tenth = self.done * 10 // self.total > (self.done - 1) * 10 // self.total
        if self.progress.disable and tenth:
            minutes, seconds = divmod(round(pace * (self.total - self.done)), 60)
            left = f"{minutes}:{seconds:02d} left"
            print(f"utterance {self.done}/{self.total}  {speed}  {left}", flush=True)
