"""Prefetching in a thread."""

import queue
import threading
from collections.abc import Callable, Iterator


def prefetch(items: Iterator, prepare: Callable = lambda item: item, *, depth: int = 4) -> Iterator:
    """`prepare(item)` for each of `items`, computed in a thread up to `depth` items ahead.

    An exception in the thread is raised here; leaving the loop early stops the thread, and closes
    `items`.
    """
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(entry) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work():
        try:
            for item in items:
                if not put((prepare(item), None)):
                    return
            put((None, None))
        except BaseException as error:  # passed on, raised by the reader
            put((None, error))
        finally:
            # A generator may have a thread of its own.
            getattr(items, "close", lambda: None)()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stop.set()
        thread.join()
