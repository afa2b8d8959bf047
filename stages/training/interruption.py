"""Ctrl-C, and how schedulers and closed terminals end a process: noted, handled between steps."""

import os
import signal
import threading
from contextlib import suppress


class Interruption:
    """Within it a first SIGINT, SIGTERM or SIGHUP is only noted; a second one acts as before.

    A signal that the process was started to ignore stays ignored: a script's shell starts
    `make repro &` so that Ctrl-C does not reach it.

    Args:
        enabled: false leaves the signals alone; so does a thread other than the main one, in
            which Python cannot handle signals.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, enabled: bool = True):
        self.enabled = enabled and threading.current_thread() is threading.main_thread()
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        if self.enabled:
            self._before = {
                number: signal.signal(number, self._note)
                for number in self.SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number, frame) -> None:
        self.received = number
        self.__exit__()
        # Not print: the signal may have come in the middle of one. The terminal may be closed.
        with suppress(OSError):
            os.write(2, b"\nstopping after this step; press again to stop immediately\n")
