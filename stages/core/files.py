"""Atomic writing: a file or a folder appears complete under its name, or not at all."""

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.errors import InputError, quoted, shortened


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends well.

    The temporary file lies in the same folder, which is made if need be, and is removed if the
    block raises. An OSError of the temporary file, or of none in particular as that of a full
    disk, then names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and str(error.filename or temporary) == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str, *, shared: bool = False, sync: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder; it replaces the folder `path` when the block ends well.

    It lies beside `path` and is removed if the block raises.

    Args:
        path: the folder to write.
        shared: other processes may write it at the same time. The temporary name then holds the
            process id; otherwise what a killed process left under that name is removed first.
        sync: fsync all files before the folder gets its name, so that a power cut cannot leave
            the name without the bytes.
    """
    path = Path(path)
    process = f".{os.getpid()}" if shared else ""
    temporary = path.with_name(f".{path.name}{process}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if sync:
            for file in filter(Path.is_file, temporary.rglob("*")):
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path | str, content: str) -> None:
    """Write UTF-8 text, whose lines end in line feeds on every system, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path | str, rows: list[dict]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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
            object_pairs_hook=_once,
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


def _once(pairs: list[tuple]) -> dict:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {quoted(twice)} is given twice")
    return values
