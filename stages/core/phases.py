"""What goes on in this process, from what was begun first to the innermost.

A count (`stages.core.progress`) has a live line, a phase counts nothing: it is shown in the line of
the count that it is within, else in another line. A parent that shows what this process does
is told of both (`stages.core.activity`).
"""

import os
import sys
import time
from typing import Protocol

from rich.live import Live
from rich.text import Text

from stages.core.activity import Activity, publish

# Seconds after which the line of a phase appears: what is short does not flicker.
SHORT = 1
# Seconds between two counts that a parent is told.
TOLD = 0.2


class Count(Protocol):
    """What is counted."""

    def figures(self) -> tuple[str, int, int, str, str]:
        """Label, count, total, details and time left, as `Activity` has them."""


def on_terminal() -> bool:
    """Whether output goes to a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def format_duration(seconds: float) -> str:
    """Minutes and seconds, `75.2` as `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Phase:
    """What goes on that counts nothing; `text` may change meanwhile, and how far it is."""

    def __init__(self, text: str):
        self.text, self.far, self.since = text, "", time.time()
        self._told = 0.0

    def say(self, text: str, far: str = "") -> None:
        """What goes on from now on, and how far it is: "3/20"."""
        changed, now = text != self.text, time.time()
        self.text, self.far = text, far
        if changed:
            self.since = now
        if changed or now - self._told >= TOLD:
            self._told = now
            tell()

    @property
    def whole(self) -> str:
        """What goes on, and how far it is."""
        return f"{self.text} {self.far}".rstrip()

    def __str__(self):
        return f"{self.whole}  {format_duration(max(time.time() - self.since, 0))}"

    def __rich__(self):
        short = time.time() - self.since < SHORT
        return Text("" if short else str(self), no_wrap=True, overflow="ellipsis")


# What goes on in this process, the innermost last, and the live line of a phase.
_running: list[Phase | Count] = []
_phase_line: list[Live] = []


def _count() -> Count | None:
    """The innermost count."""
    return next((one for one in reversed(_running) if not isinstance(one, Phase)), None)


def current_phase() -> Phase | None:
    """What goes on within the innermost count, or without any, and counts nothing."""
    return _running[-1] if _running and isinstance(_running[-1], Phase) else None


def tell() -> None:
    """Tell a parent that shows it what goes on."""
    count, phase = _count(), current_phase()
    counted = () if count is None else count.figures()
    text, since = ("", 0.0) if phase is None else (phase.whole, phase.since)
    publish(Activity(text, since, *counted))


def begin(one: Phase | Count) -> None:
    """From now on this goes on, within what went on before."""
    _running.append(one)
    _show()


def end(one: Phase | Count) -> None:
    """This has ended."""
    _running.remove(one)
    _show()


def goes_on(one: Phase | Count) -> bool:
    """Whether it has begun and not ended."""
    return one in _running


def _show() -> None:
    """Tell a parent what goes on; on a terminal show a phase, unless a count's line does."""
    tell()
    phase = current_phase() if _count() is None and on_terminal() else None
    while _phase_line:
        _phase_line.pop().stop()
    if phase is not None:
        _phase_line.append(Live(phase, transient=True))
        _phase_line[0].start()
