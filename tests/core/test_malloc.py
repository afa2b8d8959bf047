"""Memory that XLA frees stays with the process: every thread allocates from one arena."""

import platform
import re
import subprocess
import sys

import pytest

# glibc lists its arenas as XML on a C stream: `<heap nr="0">`, `<heap nr="1">` and so on.
COUNT_ARENAS = """
import ctypes, threading
{first}
thread = threading.Thread(target=lambda: [bytearray(5000) for _ in range(100)])
thread.start()
thread.join()
libc = ctypes.CDLL("libc.so.6")
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def arenas(first: str) -> int:
    """The number of arenas of a process after the line `first` and a thread that allocated."""
    found = subprocess.run(
        [sys.executable, "-c", COUNT_ARENAS.format(first=first)],
        capture_output=True,
        text=True,
        check=True,
    )
    return len(re.findall(r'<heap nr="\d+">', found.stdout))


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_a_script_makes_no_second_arena():
    assert arenas("pass") == 2  # what would be without
    assert arenas("import stages.run_flax_glue") == 1
