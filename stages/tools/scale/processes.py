"""A command in a process of its own: how long it took, and the most memory that it held."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import InputError

# Seconds from one look at the memory to the next.
INTERVAL = 0.1
# Lines of a failed command that are shown.
LAST_LINES = 20
MB = 10**6


class Usage(NamedTuple):
    """What a command took.

    seconds: from its start to its end.
    peak_mb: the most that its processes held together, in MB of 10^6 bytes.
    reached: seconds from its start to the line that was waited for; None without one.
    lines: the last lines that it printed.
    """

    seconds: float
    peak_mb: float
    reached: float | None
    lines: list[str]


def check_system() -> None:
    """Refuse a system that does not say what memory a process holds.

    Raises:
        InputError: it is not Linux, or a kernel before 4.5.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        text = ""
    if "RssAnon:" not in text:
        raise InputError("memory is read from /proc, which only Linux has; run this there")


class ProcessTree:
    """A process and all that it started.

    Args:
        root: number of a process that leads a session; what its children left behind is found by
            that session.
    """

    def __init__(self, root: int):
        self.root = root
        self.members, self.others = {root}, set()

    def memory(self) -> int:
        """Bytes of RssAnon and RssShmem of all together.

        Memory that only maps a file is left out: the system takes it back when it needs room.
        What several processes share through shared memory counts in each.
        """
        self._look()
        return sum(map(_memory, self.members))

    def _look(self) -> None:
        """Find new members. Who was none never becomes one, and need not be looked at again."""
        alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self.members &= alive
        self.others &= alive
        origins = {pid: _origin(pid) for pid in alive - self.members - self.others}
        self.members |= {pid for pid, (_, session) in origins.items() if session == self.root}
        while (
            found := {pid for pid, (parent, _) in origins.items() if parent in self.members}
            - self.members
        ):
            self.members |= found
        self.others |= origins.keys() - self.members


def _origin(pid: int) -> tuple[int, int]:
    """The numbers of a process's parent and session; 0 where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, 0
    # The name before the last bracket may itself hold blanks and brackets.
    _, parent, _, session, *_ = stat.rpartition(")")[2].split()
    return int(parent), int(session)


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = (line.split() for line in lines.splitlines() if line.startswith("Rss"))
    return sum(int(size) * 1024 for name, size, _ in fields if name in ("RssAnon:", "RssShmem:"))


def measure(
    command: Sequence[str], environment: Mapping[str, str], until: str | None = None
) -> Usage:
    """Run a command to its end.

    Args:
        command: its words.
        environment: all variables that it sees.
        until: the beginning of the line whose time is wanted.

    Raises:
        InputError: it failed; its last lines are then on stderr.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: deque[str] = deque(maxlen=LAST_LINES)
    reached: list[float] = []

    def read() -> None:
        for line in process.stdout:
            if until is not None and not reached and line.startswith(until):
                reached.append(time.perf_counter() - begin)
            lines.append(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    peak = 0
    tree, ended = ProcessTree(process.pid), os.pidfd_open(process.pid)
    try:
        while not select.select([ended], [], [], INTERVAL)[0]:
            peak = max(peak, tree.memory())
        seconds = time.perf_counter() - begin
    finally:
        # Also what the command left behind, and all of it where this process is interrupted. The
        # number is still the command's: it is not waited for yet.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()
        os.close(ended)
    if process.returncode:
        print(*lines, sep="\n", file=sys.stderr)
        raise InputError(
            f"{' '.join(map(str, command))}: ended with status {process.returncode}; its last "
            "lines are above"
        )
    if until is not None and not reached:
        raise InputError(f"{' '.join(map(str, command))}: printed no line {until!r}")
    return Usage(seconds, peak / MB, reached[0] if reached else None, list(lines))
