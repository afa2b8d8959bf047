"""Metrics and `dvc.lock`, read strictly (at a revision: `stages.gate.base`).

`dvc metrics diff` takes an unreadable file for an empty one. Here it is an `InputError`, one line
that names the file and what to do.
"""

import json
import math
from pathlib import Path

from stages.core.errors import InputError, quoted

AGAIN = "run `make repro`, or `make restore` for the last committed state"


# The mean and the deviation of a metric, as metrics/seeds/TASK.json names them.
MEAN, STD = "_mean", "_std"


def over_seeds(task: str) -> str:
    """`seeds/TASK`: metrics/seeds/TASK.json holds mean and deviation over a task's seeds."""
    return f"seeds/{task}"


def baselines_of(task: str) -> str:
    """`baselines/TASK`: metrics/baselines/TASK.json holds what simple methods reach."""
    return f"baselines/{task}"


def mean_of(task: str, metric: str) -> tuple[str, str]:
    """The metrics file that has the mean of a metric over seeds, and its name there."""
    return over_seeds(task), metric + MEAN


def task_of_file(file: str) -> str:
    """The task of a metrics file, named as `TASK`, by `over_seeds` or by `baselines_of`."""
    return file.rpartition("/")[2]


def is_finite(value) -> bool:
    """Say whether `value` is a number to compare with: no bool, text, NaN or infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _unique(pairs: list[tuple[str, object]]) -> dict:
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{quoted(key)} is there twice")
        found[key] = value
    return found


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # 1e999
        raise ValueError(f"{text} is not finite")
    return value


def _not_json(text: str):
    raise ValueError(f"{text} is not finite")  # NaN, Infinity, -Infinity


def parse_metrics(name: str, content: bytes) -> dict:
    """Read a flat JSON object; refuse NaN, duplicate keys, nested values and half a file."""
    try:
        metrics = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_finite_float,
            parse_constant=_not_json,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not readable: {error}; {AGAIN}") from None
    if not isinstance(metrics, dict):
        raise InputError(f"{name}: must hold one JSON object; {AGAIN}")
    nested = [repr(key) for key, value in metrics.items() if isinstance(value, dict | list)]
    if nested:
        raise InputError(f"{name}: {', '.join(nested)} must be a single value; {AGAIN}")
    return metrics


def read_here(folder: Path, name: str, remedy: str = AGAIN) -> bytes:
    """Return the bytes of a file in the working tree."""
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name}: missing; {remedy}") from None
    except OSError as error:
        raise InputError(f"{name}: not readable: {error.strerror}; {remedy}") from None
    except ValueError as error:  # a NUL, or half an emoji, in a name out of a file
        raise InputError(f"{name}: not a file's name: {error}") from None


def recorded_requirements(lock) -> str | None:
    """Return the md5 of the `requirements.lock` that a parsed `dvc.lock` was made under."""
    try:
        deps = lock["stages"]["versions"]["deps"]
        return next(dep["md5"] for dep in deps if dep["path"].endswith("requirements.lock"))
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None
