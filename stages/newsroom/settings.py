"""The mapping `newsroom` of params.yaml: the world's seed, and how much of it is written."""

from collections.abc import Mapping

from stages.core.errors import InputError
from stages.newsroom.names import SPLITS

# What is counted, by key: reports that are written, and announcements that are spoken.
COUNTED = ("events", "utterances")


def parse_counts(node: object, counted: str) -> tuple[int, dict[str, int]]:
    """The seed, and the numbers by split under the key `counted`, one of `COUNTED`.

    The other counted key may be there or not: it belongs to another stage, which checks it.

    Raises:
        InputError: an unknown key, a missing one, or a value that is no whole number.
    """
    _check_keys(node, "newsroom", ("seed", *COUNTED), ("seed", counted))
    _check_keys(node[counted], f"newsroom.{counted}", SPLITS, SPLITS)
    _check_number(node["seed"], "newsroom.seed", 0)
    for split in SPLITS:
        _check_number(node[counted][split], f"newsroom.{counted}.{split}", 1)
    return node["seed"], {split: node[counted][split] for split in SPLITS}


def _check_keys(node: object, name: str, known: tuple[str, ...], needed: tuple[str, ...]):
    if not isinstance(node, Mapping):
        raise InputError(f"{name}: expected a mapping with {', '.join(needed)}, got {node!r}")
    for key in node:
        if key not in known:
            raise InputError(f"{name}.{key}: unknown key; the keys are {', '.join(known)}")
    for key in needed:
        if key not in node:
            what = ", ".join(SPLITS) if key in COUNTED else "a whole number"
            raise InputError(f"{name}.{key}: missing; give {what}")


def _check_number(value: object, name: str, least: int):
    # A bool is an int to Python, but `seed: yes` is a slip.
    if type(value) is not int:
        raise InputError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise InputError(f"{name}: must be {least} or more, got {value}")
