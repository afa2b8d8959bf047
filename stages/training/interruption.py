"""Ctrl-C, and the signal by which schedulers ask a process to end, heard between two steps."""

import os
import signal
import threading


class Interruption:
    """Within it a first SIGINT or SIGTERM is only noted; a second one acts as it ever did.

    Args:
        heed: false leaves both as they are; so does a thread in which Python hears no signals.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, heed: bool = True):
        self.heed = heed and threading.current_thread() is threading.main_thread()
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        if self.heed:
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number, frame) -> None:
        self.received = number
        self.__exit__()
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nstopping after this step; once more stops at once\n")
