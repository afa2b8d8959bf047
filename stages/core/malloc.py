"""How the process holds memory. Set when `stages` is imported: later is too late (see below)."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Let glibc keep what XLA frees, instead of giving it back to the system after each use.

    XLA on CPU takes its buffers anew in every step. By default glibc maps each large one and
    unmaps it again, so that every step pays for clearing gigabytes of fresh pages: a tenth of the
    time of a large model's step, a third of a small one's.

    All threads must share the first arena, for the others always give back what they emptied. An
    arena once made stays in use, so this comes before the first import that starts threads
    (pandas does). Elsewhere than on glibc nothing changes.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return
    # From malloc.h: no buffer in a mapping of its own, no heap given back, one arena for all.
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 * 1024**2)
    mallopt(arena_max, 1)


def release_freed_memory() -> None:
    """Hand what is free now to the system, after all: before something larger than ever comes.

    A block that is larger than each free one is taken anew, and those stay beside it: without this
    a process holds the temporary memory of every shape that it ever computed. It costs what it
    costs to clear the pages again, so it is for a change of what is computed: the first step of a
    shape, an evaluation between two steps.
    """
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str):
    """A function of glibc's; None where the process has another library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None
