"""What this process does at the moment, for a parent that shows it: `make repro` side by side.

The parent names a file in an environment variable, which the shell and whatever else is between
the two pass on. A process writes its activity into that file, in place: it waits for nobody, and
that there is no parent any more is no error.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

# The environment variable with the path of the file.
VARIABLE = "FLAXMILL_ACTIVITY"
# Bytes that are written at once: four texts of 80 characters at most, each of which is twelve bytes
# at most as JSON escapes it.
SIZE, LONGEST = 4096, 80


class Activity(NamedTuple):
    """What a process does.

    phase: what goes on that counts nothing: "compiling"; "" where something is counted.
    since: seconds since the epoch at which it began.
    label: what is counted: "training"; "" where nothing is.
    done, total: the count.
    details: figures beside it: "loss 0.5".
    left: the time left, as it is shown.
    """

    phase: str = ""
    since: float = 0.0
    label: str = ""
    done: int = 0
    total: int = 0
    details: str = ""
    left: str = ""


# The file of this process: by its id, since a fork must not write in its parent's name.
_opened: dict[int, int | None] = {}


def is_watched() -> bool:
    """Whether a parent shows what this process does."""
    return bool(os.environ.get(VARIABLE))


def publish(activity: Activity) -> None:
    """Show the parent what this process does; nothing where there is none."""
    if not is_watched():
        return
    process = os.getpid()
    try:
        if process not in _opened:
            _opened[process] = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_CLOEXEC)
        if _opened[process] is not None:
            fields = [one[:LONGEST] if isinstance(one, str) else one for one in activity]
            line = json.dumps(fields).encode()
            os.pwrite(_opened[process], line.ljust(SIZE), 0)
    except OSError:  # the file is gone, or the disk is full
        _opened[process] = None


def read_activity(path: Path) -> Activity | None:
    """What was last published in a file; None if nothing was, or it is being written just now."""
    try:
        with path.open("rb") as file:
            return Activity(*json.loads(file.read(SIZE)))
    except (OSError, ValueError, TypeError):
        return None
