"""The one exception for what a user can mend, and its way to the terminal."""

import functools
import sys
from collections.abc import Callable


class InputError(Exception):
    """Input that cannot be used: a file, a row, a key, a checkpoint.

    The message is one line that names the file (with row or line), key or flag, says what is
    wrong and what to do about it. Anything else that goes wrong is a defect of ours and keeps
    its traceback.
    """


def command(main: Callable) -> Callable:
    """Turn an `InputError` that leaves `main` into one line on stderr and exit status 1."""

    @functools.wraps(main)
    def wrapper(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from None

    return wrapper
