"""Names and paths of `params.yaml` that become parts of stage names, folders and shell lines.

DVC deletes what a stage made before it runs the stage's command. So what a shell or a folder would
take for something else is refused before any stage is made of it.
"""

import re
from pathlib import PurePosixPath
from typing import Any

from stages.core.errors import InputError, quoted

LONGEST = 64
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
HYPHENATED = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Of a path. Letters of every language; a blank is harmless within quotation marks, which dvc.yaml
# has. A quotation mark is not, nor is what a shell or DVC expands.
PART = re.compile(r"(?! )(?!-)[\w .,+=@-]+(?<! )")
# Of `tasks.yaml`: such paths, names, and flags.
SCALAR = re.compile(r"[\w .,+=@/-]*")


def check_name(name: Any, where: str, *, hyphen: bool = True) -> None:
    """Refuse a key that cannot name stages, folders and parameters.

    Args:
        name: the key, of whatever type YAML made it.
        where: the file and the section, for messages.
        hyphen: whether it may have one.

    Raises:
        InputError: saying what is wrong with it.
    """
    use = f"use letters, digits{', _ and -' if hyphen else ' and _'}, and begin with a letter"
    if not isinstance(name, str):
        raise InputError(f"{where}: {quoted(name)} is not text, and so no name; {use}")
    if len(name) > LONGEST:
        raise InputError(
            f"{where}: {quoted(name[:LONGEST])}... is too long; use {LONGEST} letters or less"
        )
    if not (HYPHENATED if hyphen else NAME).fullmatch(name):
        because = " (a dot separates the levels of a parameter)" if "." in name else ""
        raise InputError(f"{where}: {quoted(name)} cannot name stages and folders{because}; {use}")


def check_path(path: Any, where: str) -> str:
    """A path in the project, as it is written, of characters that no shell expands.

    Args:
        path: the value; a link in the project may lead out of it.
        where: the file and the key, for messages.

    Raises:
        InputError: none, one that leads outside by itself, or one of other characters.
    """
    if path is None or path == "":
        raise InputError(f"{where} is missing; name the folder or file")
    if not isinstance(path, str):
        raise InputError(f"{where} is {quoted(path)}; expected text, in quotation marks")
    parts = PurePosixPath(path).parts
    if path[0] in "/~" or ".." in parts:
        raise InputError(
            f"{where}: {quoted(path)} is outside the project; make a link in the project that "
            "leads there (ln -s), and name that"
        )
    if not all(PART.fullmatch(part) for part in parts):
        raise InputError(
            f"{where}: {quoted(path)} cannot be a part of a command; rename it with letters, "
            "digits, blanks and any of . , _ - + = @"
        )
    return path


def check_scalar(value: Any, where: str) -> None:
    """Refuse what no name, path or list of flags that went through these checks can hold.

    Raises:
        InputError: naming the value.
    """
    words = str(value).split("/")
    if ".." in words or not SCALAR.fullmatch(str(value)):
        raise InputError(
            f"{where}: {quoted(value)} cannot be a part of a command; unroll params.yaml again"
        )
