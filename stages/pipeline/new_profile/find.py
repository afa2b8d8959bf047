"""Which files of a folder are the data, and of which split."""

import os
import re
from pathlib import Path

from stages.core.errors import InputError, shortened
from stages.data.source import SPLITS

# What the parts of a path say, between what is no letter.
WORDS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev", "development", "eval"},
    "test": {"test", "testing"},
}
# What stands beside data and is none.
PAPERS = re.compile(r"(^|[\W_])(readme|licen[cs]e|copying|notice|changelog|citation)", re.I)


def split_of(path: Path) -> str | None:
    """The split that a relative path names, by the file's name before its folder's; None for none.

    Of a word like `wnut17train` the end counts.
    """
    for part in reversed(path.parts):
        words = re.split(r"[^a-z]+", part.lower())
        found = [
            split
            for split, known in WORDS.items()
            if any(word in known or word.endswith(split) for word in words)
        ]
        if len(found) == 1:
            return found[0]
    return None


def find_files(
    data: Path, endings: tuple[str, ...], given: dict[str, str | None], *, several: bool
) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files of each split that is there, and what was left out.

    A file that is alone is to be split, whatever it is called.

    Args:
        data: a file, or a folder.
        endings: of files that the task reads.
        given: split to the name of its file in the folder, by the user.
        several: whether a split may be in several files; then files without a split's name are
            to train on.

    Raises:
        InputError: no such file; none of these endings; several files of one split, or none to
            train on, that can be meant.
    """
    folder = data if data.is_dir() else data.parent
    if not data.exists():
        raise InputError(f"DATA {data}: no such file or folder")
    found = [data] if data.is_file() else _files_below(data)
    usable = [path for path in found if _is_data(path, endings) or path == data]
    left_out = [path for path in found if path not in usable]
    splits: dict[str, list[Path]] = {}
    for split, name in given.items():
        if name is not None:
            path = folder / name
            if not path.is_file():
                raise InputError(f"--{SPLITS[split]} {name}: no such file in {folder}")
            splits[split] = [path]
    taken = [path for paths in splits.values() for path in paths]
    left_out = [path for path in left_out if path not in taken]
    free = [path for path in usable if path not in taken]
    if not usable and not taken:
        raise InputError(f"{data}: no file that the task reads ({', '.join(endings)})")
    if not splits and len(free) == 1:
        return {"train": free}, left_out
    unnamed = []
    for path in free:
        split = split_of(path.relative_to(folder))
        if split is None:
            unnamed.append(path)
        elif given.get(split) is None:
            splits.setdefault(split, []).append(path)
        else:
            left_out.append(path)
    if "train" not in splits and (several or len(unnamed) == 1):
        splits["train"], unnamed = unnamed, []
    _refuse_doubt(folder, splits, free, several)
    return splits, sorted([*left_out, *unnamed])


def _files_below(folder: Path) -> list[Path]:
    """All files in a folder, but for hidden ones and those of hidden folders at its top."""
    # Not `rglob`: that fails on a folder which another process removes meanwhile.
    paths = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    shown = (path for path in paths if not path.relative_to(folder).parts[0].startswith("."))
    return sorted(path for path in shown if path.is_file())


def _is_data(path: Path, endings: tuple[str, ...]) -> bool:
    return path.suffix.lower() in endings and not PAPERS.search(path.stem)


def _refuse_doubt(
    folder: Path, splits: dict[str, list[Path]], free: list[Path], several: bool
) -> None:
    def names(paths: list[Path]) -> str:
        return shortened(", ".join(str(path.relative_to(folder)) for path in paths), 400)

    if not splits.get("train"):
        raise InputError(
            f"{folder}: which file is to train on? there are {names(free)}; give its name as "
            "--train_file (ARGS of make)"
        )
    for split, paths in splits.items():
        if len(paths) > 1 and not several:
            raise InputError(
                f"{folder}: which file is {split}? there are {names(paths)}; give its name as "
                f"--{SPLITS[split]} (ARGS of make)"
            )
