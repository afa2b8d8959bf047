"""Work on rows in a process a core, where Python's own work on them is what takes long."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from stages.core.errors import InputError

# Seconds between two looks at whether the main process is still there.
WATCH = 1
# Libraries with threads, which would only wait for those of the other processes.
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip

Job, Result = TypeVar("Job"), TypeVar("Result")

_function: list[Callable] = []


def in_processes(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    count: int,
    *,
    threads: int = 1,
    size: Callable[[Job], int] = lambda job: 0,
    most: int = 0,
) -> Iterator[Result]:
    """`function(job)` of each job, in their order, computed ahead.

    Args:
        function: of a module, or a `partial` of one; sent to each process once.
        jobs: what can be pickled.
        count: of the processes.
        threads: of a library in each.
        size: of a job. Twice as many jobs as processes are held at a time, and no more once their
            sizes come to `most`.
        most: see there.

    Raises:
        InputError: a process was killed, as the system does when memory is short.
    """
    # loky, not `multiprocessing`: a new interpreter, as JAX's threads do not outlive a fork, and
    # one that does not import the main module, which imports JAX.
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    executor = ProcessPoolExecutor(
        count, initializer=_start, initargs=(function, os.getpid()),
        env=dict.fromkeys(THREADS, str(threads)),
    )  # fmt: skip
    waiting: deque = deque()
    held = 0
    try:
        for job in jobs:
            waiting.append((executor.submit(_work, job), size(job)))
            held += waiting[-1][1]
            while waiting and (len(waiting) > 2 * count or held > most):
                future, less = waiting.popleft()
                held -= less
                yield future.result()
        while waiting:
            yield waiting.popleft()[0].result()
    except BrokenProcessPool:
        raise InputError(
            "a process that works on rows was killed, perhaps for memory; run the command again, "
            "with fewer of them (--preprocessing_num_workers)"
        ) from None
    finally:
        for future, _ in waiting:
            future.cancel()
        executor.shutdown()


def _start(function: Callable, main: int) -> None:
    # Ctrl-C reaches them too; the main process ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(main,), daemon=True).start()
    _function[:] = [function]


def _end_with(main: int) -> None:
    """End this process once the main one has gone: killed, it leaves a pipe that nobody empties."""
    while os.getppid() == main:
        time.sleep(WATCH)
    os._exit(1)


def _work(job):
    return _function[0](job)
