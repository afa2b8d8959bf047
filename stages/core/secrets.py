"""No secrets in a parameter file: Git keeps it, and DVC copies it to `dvc.lock` and the cache."""

import re
from collections.abc import Mapping
from typing import Any

from stages.core.errors import InputError

KEYS = ("token", "hub_token", "use_auth_token")
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")
IN_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^/\s@]+@")


def refuse_secrets(content: Mapping, path: str) -> None:
    """Refuse a parameter file that holds a token or an address with a password.

    Args:
        content: the file's, of any depth.
        path: its name, for messages.

    Raises:
        InputError: naming the key and where to put it instead; never the secret.
    """
    waiting: list[tuple[str, Any]] = [("", content)]
    seen = set()  # an alias leads to what was looked at before
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            _refuse_text(value, f"{path}: {where}")
            continue
        if not isinstance(value, Mapping | list) or id(value) in seen:
            continue
        seen.add(id(value))
        named = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in named:
            dotted = f"{where}.{key}".lstrip(".")
            if key in KEYS and inner is not None:
                _refuse(f"{path}: {dotted}", "set the environment variable HF_TOKEN")
            waiting.append((dotted, inner))


def _refuse_text(text: str, where: str) -> None:
    if HUB_TOKEN.search(text):
        _refuse(where, "set the environment variable HF_TOKEN")
    if IN_ADDRESS.search(text):
        _refuse(where, "put user and password into ~/.netrc")


def _refuse(where: str, instead: str) -> None:
    raise InputError(
        f"{where} holds a secret, which would be committed with the file and with dvc.lock; take "
        f"it out and {instead}"
    )
