"""The one exception for what a user can correct, and how it is printed."""

import difflib
import errno
import functools
import sys
from collections.abc import Callable, Sequence


class InputError(Exception):
    """Input that cannot be used: a file, a row, a key, a checkpoint.

    The message is one line that names the file (with row or line), key or flag, says what is
    wrong and what to do about it. Any other exception is a defect of the program and keeps its
    traceback.
    """


def nearest(word: str, words: Sequence[str]) -> str:
    """'; did you mean ...?' for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


# What the machine refuses rather than the program gets wrong, and what to do about it.
REFUSALS = {
    errno.ENOSPC: "make room, and run the same command again",
    errno.EDQUOT: "make room, and run the same command again",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that can be written, or ask for the right to",
}


def command(main: Callable) -> Callable:
    """Turn an `InputError` that leaves `main` into one line on stderr and exit status 1.

    So with what the machine refuses: a full disk, a folder that may not be written.
    """

    @functools.wraps(main)
    def wrapper(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            where = f"{error.filename}: " if error.filename else ""
            print(f"error: {where}{error.strerror}; {REFUSALS[error.errno]}", file=sys.stderr)
            raise SystemExit(1) from None

    return wrapper
