"""A terminal of a given size in which a command runs, and what stands on its screen."""

import codecs
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

# An escape sequence of those that rich writes: parameters and the letter that says what to do.
ESCAPE = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])")

# Makes the terminal that of the command, so that Ctrl-C comes as a signal, which is not ignored as
# it may be where tests run.
LEAD = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """The lines of a terminal that knows what rich uses: cursor up, erased lines, colours.

    lines: all since the start, those that have scrolled away as well.
    wrapped: the lines that went on in the next one.
    """

    def __init__(self, width: int):
        self.width = width
        self.lines, self.row, self.column = [""], 0, 0
        self.wrapped: set[int] = set()
        self.cursor_shown = True
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what a command wrote."""
        text, self._rest = self._rest + text, ""
        while text:
            if text[0] == "\x1b":
                found = ESCAPE.match(text)
                if found is None and len(text) < 12:  # the rest of it is still to come
                    self._rest = text
                    return
                assert found, f"an unknown escape: {text[:12]!r}"
                self._escape(*found.groups())
                text = text[found.end() :]
            else:
                self._put(text[0])
                text = text[1:]

    def _escape(self, given: str, what: str) -> None:
        if what == "A":
            self.row = max(self.row - int(given or 1), 0)
        elif what == "K":
            assert given == "2", given
            self.lines[self.row] = ""
            self.wrapped.discard(self.row)
        elif given == "?25":
            self.cursor_shown = what == "h"
        else:
            assert what == "m", (given, what)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        else:
            if self.column == self.width:
                self.wrapped.add(self.row)
                self._down()
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    @property
    def text(self) -> str:
        """The lines."""
        return "\n".join(self.lines)


class Command:
    """A command in a terminal.

    shown: (seconds since the start, the screen's text), each time that it changed.
    wrapped: the lines of each of these texts that went on in the next one.

    Args:
        words: the command.
        width: columns of the terminal.
        options: of `subprocess.Popen`.
    """

    def __init__(self, *words: str, width: int = 80, **options):
        master, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environment = {**os.environ, **options.pop("env", {}), "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.screen, self.started = Screen(width), time.monotonic()
        self.shown: list[tuple[float, str]] = []
        self.wrapped: list[set[int]] = []
        self._master, self._decode = master, codecs.getincrementaldecoder("utf-8")().decode

        self.process = subprocess.Popen(
            [sys.executable, "-c", LEAD, *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
            **options,
        )
        os.close(terminal)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def read(self, until: Callable[[str], bool] = lambda text: False, seconds: float = 120) -> str:
        """Follow the screen until it shows something, or the command ends; its text."""
        end = time.monotonic() + seconds
        while not until(self.screen.text):
            assert time.monotonic() < end, f"took too long:\n{self.screen.text}"
            if not select.select([self._master], [], [], 0.5)[0]:
                continue
            try:
                found = os.read(self._master, 65536)
            except OSError:  # closed at the other end
                break
            self.screen.feed(self._decode(found))
            self.shown.append((time.monotonic() - self.started, self.screen.text))
            self.wrapped.append(set(self.screen.wrapped))
        return self.screen.text

    def finish(self, seconds: float = 120) -> tuple[int, str]:
        """Follow it to its end: exit status, and the screen's text."""
        text = self.read(seconds=seconds)
        return self.process.wait(timeout=seconds), text
