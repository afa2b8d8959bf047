"""Files that are written whole or not at all."""

import json
import os
from pathlib import Path


def write_text(path: Path | str, content: str) -> None:
    """Write a whole file or none: to a temporary name first, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(content, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def write_json(path: Path | str, content) -> None:
    """`content` as indented JSON, written whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path | str, rows: list[dict]) -> None:
    """One JSON object a line, written whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
