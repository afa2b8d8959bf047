"""glibc's memory allocator, configured when `stages` is imported: later is too late (see below)."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Let glibc keep the memory that XLA frees instead of returning it to the system.

    XLA on CPU allocates its buffers again in every step. By default glibc maps and unmaps each
    large one, so every step pays for zeroing gigabytes of fresh pages: a tenth of the time of a
    large model's step, a third of a small one's.

    All threads must share the first arena, as the others always return what they free. An arena
    stays in use once it exists, so this must run before the first import that starts threads
    (pandas does). It does nothing without glibc.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return
    # From malloc.h: no separate mapping for a buffer, no trimming of the heap, one arena for all.
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 * 1024**2)
    mallopt(arena_max, 1)


def release_freed_memory() -> None:
    """Return all free memory to the system, before something larger is allocated.

    A block larger than every free one is newly allocated and the free ones remain. Without this a
    process would hold the temporary memory of every shape that it has computed. The pages must be
    zeroed again afterwards, so call it only when the computation changes: at the first step of a
    shape, or at an evaluation between two steps.
    """
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str):
    """A function of glibc; None where the process has another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None
