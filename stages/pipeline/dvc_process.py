"""DVC's commands, each in a process that finds DVC imported.

Importing DVC takes longer than most of its commands. So the first call starts a fork server
(`multiprocessing`), which imports it once; every command is then a fork of that.

Each command leads its own session, with the shell and the stage that it starts. What ends this
process (Ctrl-C, a scheduler's SIGTERM, a closed terminal) is sent on to all of them.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TextIO

from stages.core.activity import Activity, is_watched, publish
from stages.core.errors import InputError
from stages.core.files import home_folder

# What takes long to import of what a command needs; and for `multiprocessing`, which runs the main
# module's imports in every process, what `repro` imports.
PRELOAD = ("dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.status", "dvc.repo.experiments",
           "dvc.repo.plots", "dvc.dirs", "dvc_data.hashfile.db.local", "dulwich.ignore",
           "networkx", "ruamel.yaml.mergevalue", "stages.pipeline.summary")  # fmt: skip

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_context = get_context("forkserver")
_context.set_forkserver_preload(list(PRELOAD))
# Process ids of commands, and the signals that came.
_running: set[int] = set()
_received: list[int] = []
# Those of standard output and errors that are one: once it is closed, nothing knows what it was.
_terminals: list[int] = []


class Stopped(KeyboardInterrupt):
    """A signal has ended this process; `number` says which."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def forwarded_signals() -> Iterator[None]:
    """Within it a signal of `SIGNALS` goes to every command that runs, and raises `Stopped` here.

    One that the process was started to ignore stays ignored, here and in the commands: a script's
    shell starts `make repro &` so, and nohup does. In a thread other than the main one, in which
    Python cannot handle signals, nothing changes.
    """
    before = {}
    _received.clear()
    _terminals[:] = filter(os.isatty, (1, 2))
    if threading.current_thread() is threading.main_thread():
        before = {
            number: signal.signal(number, _forward)
            for number in SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forward(number: int, frame) -> None:
    _received.append(number)
    if number == signal.SIGHUP:
        # Writing to a closed terminal fails, and the lines of the stages have still to be read.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for terminal in _terminals:
            os.dup2(nowhere, terminal)
    for leader in tuple(_running):
        _send(leader, number)
    raise Stopped(number)


def _send(leader: int, number: int) -> None:
    """Send a signal to a command and all that it started."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        try:
            os.killpg(leader, number)
        except ProcessLookupError:  # it does not lead a session yet
            os.kill(leader, number)


def _end(number: int, frame) -> None:
    raise SystemExit(128 + number)


def _main(
    arguments: tuple[str, ...], output: Connection, errors: Connection, environment: dict[str, str]
) -> None:
    """The command's process: output and errors go to the two pipes."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)  # and not at once: DVC gives its locks back
    os.environ.clear()
    os.environ |= environment  # not the server's, which is that of the first command
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    for pipe in {output, errors}:
        pipe.close()
    for stream in (sys.stdout, sys.stderr):
        # Before a stage's own lines come those that announce it.
        stream.reconfigure(line_buffering=True)
    if is_watched():
        _say_what_dvc_does()
    from dvc.cli import main

    sys.exit(main(list(arguments)))


def _say_what_dvc_does() -> None:
    """Tell the parent that DVC waits for its lock, and what it does once it has it.

    DVC gives the lock back while a stage's command runs. It says that it waits on a terminal alone.
    """
    from dvc import lock

    class SayingLock(lock.Lock):
        """DVC's lock, which is one of several: only that of the repository is spoken of."""

        ran, waits = False, False

        def _say(self, text: str) -> None:
            if os.path.basename(self._lockfile) == "lock":
                publish(Activity(text, time.time()))

        def _do_lock(self):
            try:
                super()._do_lock()
            except lock.LockError:
                if not self.waits:
                    self._say("waiting for DVC's lock")
                self.waits = True
                raise
            self._say("storing what it made" if self.ran else "looking for what changed")
            self.waits = False

        def unlock(self):
            if not self.ran:
                self._say("starting")
            self.ran = True
            super().unlock()

    lock.Lock = SayingLock


class DvcProcess:
    """A running DVC command.

    Args:
        arguments: as after `dvc`.
        environment: variables to set beside those of this process.
        merged: whether `output` has what is written to standard error as well.

    Raises:
        InputError: the user has no home folder.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        merged: bool = False,
    ):
        home_folder()  # without one DVC ends in a traceback
        output, output_end = _context.Pipe(duplex=False)
        errors, errors_end = (None, output_end) if merged else _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=_main,
            args=(arguments, output_end, errors_end, {**os.environ, **(environment or {})}),
        )
        self._process.start()
        _running.add(self._process.pid)
        for number in _received[:1]:  # by a thread that a signal came before
            _send(self._process.pid, number)
        for end in {output_end, errors_end}:
            end.close()
        self.output = _text(output)
        self.errors = None if errors is None else _text(errors)

    def lines(self) -> Iterator[str]:
        """The lines of `output`, each as soon as it is there."""
        with self.output:
            yield from self.output

    def wait(self) -> int:
        """Wait for the command's end; return its exit status, negative for a signal."""
        self._process.join()
        _running.discard(self._process.pid)
        return self._process.exitcode


def _text(pipe: Connection) -> TextIO:
    """The end of a pipe as text."""
    with pipe:
        return open(os.dup(pipe.fileno()), encoding="utf-8", errors="replace")


def run_dvc(*arguments: str) -> str:
    """Return what a DVC command prints.

    Raises:
        InputError: it fails; with the reason that it gives.
    """
    process = DvcProcess(*arguments)
    with ThreadPoolExecutor(1) as thread, process.output, process.errors:
        errors = thread.submit(process.errors.read)
        output = process.output.read()
    status = process.wait()
    if status:
        reason = " ".join(errors.result().split()) or f"exit status {status}"
        raise InputError(f"dvc {' '.join(arguments)}: {reason}")
    return output
