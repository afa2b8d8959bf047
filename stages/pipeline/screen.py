"""What `make repro` shows while stages run: a live line for each on a terminal, else plain ones."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from rich import get_console
from rich.live import Live
from rich.text import Text

from stages.core.activity import VARIABLE, Activity, read_activity
from stages.core.phases import format_duration, on_terminal
from stages.core.progress import Progress

# How often a second the live lines are drawn.
REFRESH = 4
# The longest name of a stage that is shown whole, as a share of the line.
NAME_SHARE = 3

# Seconds that are left, None if it is not known.
Remaining = Callable[[], float | None]


class PlainScreen:
    """Lines of the stages, each marked with its name, and a line for each stage that has ended.

    To be used as a context, as `LiveScreen` is.

    Args:
        total: how many stages will run.
        remaining: gives the seconds that are left.
        verbose: changes nothing: every line is printed.
    """

    def __init__(self, total: int, remaining: Remaining, verbose: bool = False):
        self._progress = Progress("stages", "stage", total, remaining=remaining)
        self._lock = Lock()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def begin(self, stage: str) -> dict[str, str]:
        """A stage begins; the environment that its process needs."""
        return {}

    def print(self, stage: str, line: str) -> None:
        """Print a line of a stage."""
        self._progress.print(f"[{stage}] {line}")

    def end(self, stage: str, how: str, failed: bool = False) -> None:
        """A stage has ended; `how`, and in which time."""
        with self._lock:
            self._progress.report(self._progress.done + 1, f"{stage} {how}")


class _Row(NamedTuple):
    """A running stage.

    begun: by `time.time`.
    path: the file in which its process says what it does.
    """

    begun: float
    path: Path


class LiveScreen:
    """A live line for each running stage and one for the whole; the stages' lines scroll above.

    Args:
        total: how many stages will run.
        remaining: gives the seconds that are left.
        verbose: print the command of each stage as well.
    """

    def __init__(self, total: int, remaining: Remaining, verbose: bool = False):
        self._total, self._remaining, self._verbose = total, remaining, verbose
        self._done = self._failed = self._numbers = 0
        self._rows: dict[str, _Row] = {}
        # Stages of which DVC has just said that they run; their command follows.
        self._announced: set[str] = set()
        self._lock = Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="flaxmill-", ignore_cleanup_errors=True)
        self._console = get_console()
        # Gone at the end: what follows says all that it said.
        self._live = Live(self, console=self._console, refresh_per_second=REFRESH, transient=True)

    def __enter__(self):
        self._started = time.time()
        self._live.start()
        return self

    def __exit__(self, *exception):
        self._live.stop()
        self._folder.cleanup()

    def begin(self, stage: str) -> dict[str, str]:
        """A stage begins; the environment that its process needs."""
        with self._lock:
            self._numbers += 1
            path = Path(self._folder.name) / str(self._numbers)
        path.touch()
        self._rows[stage] = _Row(time.time(), path)
        return {VARIABLE: str(path)}

    def print(self, stage: str, line: str) -> None:
        """Print a line of a stage, above the live ones."""
        announced = line.startswith("Running stage ")
        command = stage in self._announced and line.startswith("> ")
        (self._announced.add if announced else self._announced.discard)(stage)
        if self._verbose or not (announced or command):
            self._write(Text.assemble((f"[{stage}]", "cyan"), " ", Text.from_ansi(line)))

    def end(self, stage: str, how: str, failed: bool = False) -> None:
        """A stage has ended; `how`, and in which time."""
        with self._lock:
            self._done += not failed
            self._failed += failed
            del self._rows[stage]
        style = "bold red" if failed else "bold"
        self._write(Text.assemble((f"[{stage}]", "cyan"), " ", (how, style)))

    def _write(self, line: Text) -> None:
        # Whole, as long as it is: the terminal wraps what somebody may want to copy.
        self._console.print(line, soft_wrap=True, highlight=False)

    def __rich_console__(self, console, options) -> Iterator[Text]:
        now, width = time.time(), options.max_width
        rows = dict(self._rows)  # other threads begin and end stages
        names = min(max(map(len, rows), default=0), width // NAME_SHARE)
        for stage, row in rows.items():
            name = Text(stage, "cyan")
            name.truncate(names, overflow="ellipsis", pad=True)
            took = format_duration(now - row.begun)
            yield _fit(Text.assemble(name, f"  {took:>5}  ", describe(row.path, now)), width)
        yield _fit(self._whole(now), width)

    def _whole(self, now: float) -> Text:
        """The line of the whole run."""
        line = Text(f"{self._done} of {self._total} stages done", "bold")
        if self._failed:
            line.append(f", {self._failed} failed", "bold red")
        line.append(f"  {format_duration(now - self._started)}", "not bold")
        left = self._remaining()
        if left is not None:
            line.append(f"  about {format_duration(left)} left", "not bold")
        return line


def _fit(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def describe(path: Path, now: float) -> str:
    """What a stage does, by its file: the count that it is at, or what goes on."""
    activity = read_activity(path) or Activity("starting")
    parts = []
    if activity.total:
        parts.append(f"{activity.label} {activity.done}/{activity.total}")
    if activity.phase:
        since = format_duration(max(now - activity.since, 0)) if activity.since else ""
        parts.append(f"{activity.phase} {since}".rstrip())
    else:
        parts += filter(None, (activity.left, activity.details))
    return "  ".join(parts) or "running"


def make_screen(*args) -> PlainScreen | LiveScreen:
    """The screen that fits where the output goes; arguments as of both."""
    return (LiveScreen if on_terminal() else PlainScreen)(*args)
