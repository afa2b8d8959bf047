"""How far a job is: a live line on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich import progress

# Seconds between two plain lines of a count that has no steps to report at.
INTERVAL = 5

_silent = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Show nothing of the jobs that begin within, in this thread: they are parts of another."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def is_silent() -> bool:
    """Whether this is within `silent`."""
    return _silent.get()


def format_duration(seconds: float) -> str:
    """Minutes and seconds, `75.2` as `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Progress:
    """Counts up to `total`. As a context it shows the live line while the context lasts.

    Args:
        label: what goes on, at the start of the live line.
        unit: what is counted, at the start of a plain line.
        total: the count at the end.
        details: what to show until the first figures are there.
        remaining: gives the seconds that are left, None if it cannot say; by default they follow
            from the mean speed so far.
    """

    def __init__(
        self,
        label: str,
        unit: str,
        total: int,
        details: str = "",
        remaining: Callable[[], float | None] | None = None,
    ):
        self.unit, self.total, self.done = unit, total, 0
        self.remaining = remaining or self._at_mean_speed
        self._silent = is_silent()
        self.started = self._reported = time.perf_counter()
        self._lock = threading.Lock()
        self._display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[details]}", markup=False),
            progress.TextColumn("{task.fields[left]}"),
            disable=self._silent or not sys.stdout.isatty(),
        )
        self._task = self._display.add_task(
            label, total=total, visible=total > 0, details=details, left=""
        )

    def start(self) -> None:
        """Show the live line."""
        self._display.start()

    def stop(self) -> None:
        """Leave the live line as it is."""
        self._display.stop()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def resume(self, done: int, seconds: float) -> None:
        """Continue from a count that an earlier process reached in `seconds`."""
        self.started -= seconds
        self.update(done)

    @property
    def seconds(self) -> float:
        """Seconds since the start, those of an earlier process included."""
        return time.perf_counter() - self.started

    @property
    def left(self) -> str:
        """The time left, as it is shown; "" if it is not known."""
        seconds = self.remaining()
        return "" if seconds is None else f"{format_duration(seconds)} left"

    def _at_mean_speed(self) -> float | None:
        return self.seconds / self.done * (self.total - self.done) if self.done else None

    def update(self, done: int, details: str | None = None) -> None:
        """Move the live line to `done`; None keeps the figures that it shows."""
        self.done = done
        fields = {} if details is None else {"details": details}
        self._display.update(self._task, completed=done, left=self.left, **fields)

    def report(self, done: int, details: str) -> None:
        """Update the live line, or print a plain one: count, figures and time left."""
        self.update(done, details)
        if self._display.disable and not self._silent:
            self.print(f"{self.unit} {done}/{self.total}  {details}  {self.left}".rstrip())

    def advance(self, count: int = 1) -> None:
        """Count more, with the mean speed as the figure.

        Report at times, and at the end of what took a second or more.
        """
        done, now = self.done + count, time.perf_counter()
        details = f"{done / self.seconds:,.0f} {self.unit}s/s"
        ended = done == self.total and self.seconds >= 1
        if now - self._reported > INTERVAL or ended:
            self._reported = now
            self.report(done, details)
        else:
            self.update(done, details)

    def print(self, line: str) -> None:
        """Print a whole line, above the live one; threads do not mix theirs."""
        if self._display.disable:
            with self._lock:
                print(line, flush=True)
        else:
            self._display.console.print(
                line, markup=False, emoji=False, highlight=False, soft_wrap=True
            )
