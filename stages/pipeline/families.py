"""Which module of `stages.models` serves a type of model, without importing any of them."""

import json
from functools import cache
from pathlib import Path

import stages

FAMILIES_FILE = Path(stages.__file__).parent / "models" / "families.json"


@cache
def family_modules() -> dict[str, str]:
    """{model type: module}, the table that `stages.models` loads families by."""
    return json.loads(FAMILIES_FILE.read_text(encoding="utf-8"))
