"""JSON without what readers disagree on: a key given twice, NaN, a number that no float holds."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from stages.core.errors import InputError, quoted, shortened


def read_json_object(path: Path | str) -> dict:
    """The JSON object in a file that a program wrote, such as one of a model's folder.

    Raises:
        InputError: no such file, not JSON as RFC 8259 has it (no NaN, no number beyond a float),
            nested too deeply, a key given twice, or something else than an object at the top.
    """
    try:
        values = json.loads(
            Path(path).read_text(encoding="utf-8"),
            parse_constant=_no_number,
            parse_float=_finite,
            object_pairs_hook=unique_keys,
        )
    except RecursionError:
        raise InputError(
            f"{path}: not valid JSON (nested too deeply); restore or re-download it"
        ) from None
    except (OSError, ValueError) as error:
        reason = shortened(str(error), 200)
        raise InputError(f"{path}: not valid JSON ({reason}); restore or re-download it") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a JSON object; restore or re-download it")
    return values


def _no_number(text: str):
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{shortened(text)} is beyond every float")
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `json`, which would keep the last of two values in silence.

    Raises:
        ValueError: a key is given twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {quoted(twice)} is given twice")
    return values
