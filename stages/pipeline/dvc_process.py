"""DVC's commands, each in a process that finds DVC imported.

Importing DVC takes longer than most of its commands. So the first call starts a fork server
(`multiprocessing`), which imports it once; every command is then a fork of that.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TextIO

from stages.core.errors import InputError
from stages.core.files import home_folder

# What takes long to import of what a command needs; and for `multiprocessing`, which runs the main
# module's imports in every process, what `repro` imports.
PRELOAD = ("dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.status", "dvc.repo.experiments",
           "dvc.repo.plots", "dvc.dirs", "dvc_data.hashfile.db.local", "dulwich.ignore",
           "networkx", "ruamel.yaml.mergevalue", "stages.pipeline.summary")  # fmt: skip

_context = get_context("forkserver")
_context.set_forkserver_preload(list(PRELOAD))


def _main(
    arguments: tuple[str, ...], output: Connection, errors: Connection, environment: dict[str, str]
) -> None:
    """The command's process: output and errors go to the two pipes."""
    os.environ.clear()
    os.environ |= environment  # not the server's, which is that of the first command
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    for pipe in {output, errors}:
        pipe.close()
    for stream in (sys.stdout, sys.stderr):
        # Before a stage's own lines come those that announce it.
        stream.reconfigure(line_buffering=True)
    from dvc.cli import main

    sys.exit(main(list(arguments)))


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
