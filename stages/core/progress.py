"""How far a job is: a live line on a terminal, plain lines elsewhere.

What counts nothing, `doing`, is shown in the same live line. Where the parent shows what this
process does (`stages.core.activity`) it is told, and there are neither live line nor plain ones.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich import progress
from rich.text import Text

from stages.core.activity import is_watched
from stages.core.phases import (
    TOLD,
    Phase,
    begin,
    current_phase,
    end,
    format_duration,
    goes_on,
    on_terminal,
    tell,
)

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


@contextmanager
def doing(text: str) -> Iterator[Phase]:
    """Say what goes on meanwhile where nothing is counted: compiling, waiting for a lock."""
    phase = Phase(text)
    if is_silent():
        yield phase
        return
    begin(phase)
    try:
        yield phase
    finally:
        end(phase)


class _Details(progress.ProgressColumn):
    """The figures of a count, or what goes on within it."""

    max_refresh = None

    def render(self, task) -> Text:
        phase = current_phase()
        return Text(task.fields["details"] if phase is None else str(phase))


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
        self._details, self._told = details, 0.0
        self._lock = threading.Lock()
        self._display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            _Details(),
            progress.TextColumn("{task.fields[left]}"),
            disable=self._silent or not on_terminal(),
        )
        self.label = label
        self._task = self._display.add_task(
            label, total=total, visible=total > 0, details=details, left=""
        )

    def start(self) -> None:
        """Show the live line."""
        if not self._silent:
            begin(self)
        self._display.start()

    def stop(self) -> None:
        """Leave the live line as it is."""
        self._display.stop()
        if goes_on(self):
            end(self)

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
        if details is not None:
            self._details = details
        self._display.update(self._task, completed=done, left=self.left, details=self._details)
        now = time.perf_counter()
        if now - self._told >= TOLD and goes_on(self):
            self._told = now
            tell()

    def figures(self) -> tuple[str, int, int, str, str]:
        """Label, count, total, details and time left, as a parent is told them."""
        return self.label, self.done, self.total, self._details, self.left

    def report(self, done: int, details: str) -> None:
        """Update the live line, or print a plain one: count, figures and time left."""
        self._told = 0.0
        self.update(done, details)
        if self._display.disable and not self._silent and not is_watched():
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
