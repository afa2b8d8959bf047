"""The one exception for what a user can correct, and how it is printed."""

import difflib
import errno
import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.core.activity import Activity, publish


class InputError(Exception):
    """Input that cannot be used: a file, a row, a key, a checkpoint.

    The message is one line that names the file (with row or line), key or flag, says what is
    wrong and what to do about it. Any other exception is a defect of the program and keeps its
    traceback.
    """


class EmptyInputError(InputError):
    """Input without anything to train on, such as blank lines: a part of it may be so."""


def quoted(value: Any, limit: int = 80) -> str:
    """`repr(value)` for a message, at most `limit` characters long: the middle is left out.

    A value of the user's, a cell or a name, may have any length and hold any character.
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python writes; nested too deeply
        return f"<{type(value).__name__}>"
    return shortened(text, limit)


def shortened(text: str, limit: int = 80) -> str:
    """`text` for a message, at most `limit` characters long: the middle is left out."""
    if len(text) <= limit:
        return text
    kept = limit - len("...")
    return f"{text[: kept - kept // 2]}...{text[-(kept // 2) :]}"


def one_line(message: str) -> str:
    """`message` with line ends, control characters and lone surrogates escaped as in `repr`.

    What a file holds can so neither fake a second message nor steer the terminal.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)


def nearest(word: str, words: Sequence[str]) -> str:
    """'; did you mean ...?' for a misspelt word, or nothing."""
    # Nothing near is so long, and the search takes the square of the length.
    close = difflib.get_close_matches(word, words, n=1) if len(word) < 1000 else []
    return f"; did you mean {quoted(close[0])}?" if close else ""


FLAG = re.compile(r"--([a-z]\w*)")
# Set by `call_flags`, for the messages of the command that runs.
_keys: dict[str, str] = {}
_file = ""


def call_flags(keys: Mapping[str, str], file: str) -> None:
    """Have the messages of this command call flags by the keys that their values come from.

    What is checked is checked under one name, the flag's; a stage of the pipeline has no flags that
    a user could change.

    Args:
        keys: the name of each flag, without `--`, to the whole path of its key.
        file: the parameter file that holds them.
    """
    global _file
    _keys.clear()
    _keys.update(keys)
    _file = file


def with_keys(message: str) -> str:
    """`message` with the keys that `call_flags` gave in place of flags, the first with its file."""
    named = False

    def key(match: re.Match) -> str:
        nonlocal named
        found = _keys.get(match[1])
        if found is None:
            return match[0]
        first, named = not named, True
        if not first:
            return found
        return f"{_file}: {found}" if match.start() == 0 else f"{found} of {_file}"

    return FLAG.sub(key, message)


# What the machine refuses rather than the program gets wrong, and what to do about it.
REFUSALS = {
    errno.ENOSPC: "make room, and run the same command again",
    errno.EDQUOT: "make room, and run the same command again",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that can be written, or ask for the right to",
    errno.EPERM: "choose a place that can be written, or ask for the right to",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "give a path without a link that leads back to itself",
    errno.EEXIST: "something else has that name: give another, or remove it",
    errno.ENOTDIR: "a file stands where a folder should: give another path, or remove it",
    errno.EISDIR: "a folder stands where a file should: give another path, or remove it",
}


def command(main: Callable) -> Callable:
    """Turn an `InputError` that leaves `main` into one line on stderr and exit status 1.

    So with what the machine refuses: a full disk, a folder that may not be written, a path that
    is none. A parent that shows what goes on is told that the imports are done.
    """

    @functools.wraps(main)
    def wrapper(*args, **kwargs):
        call_flags({}, "")
        publish(Activity("running"))
        try:
            return main(*args, **kwargs)
        except InputError as error:
            print(f"error: {one_line(shortened(with_keys(str(error)), 2000))}", file=sys.stderr)
            raise SystemExit(1) from None
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            where = f"{one_line(shortened(str(error.filename), 200))}: " if error.filename else ""
            print(f"error: {where}{error.strerror}; {REFUSALS[error.errno]}", file=sys.stderr)
            raise SystemExit(1) from None

    return wrapper
