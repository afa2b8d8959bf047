"""Data sets from the hub as JSON lines, which the readers of files take from there."""

import hashlib
import json
import os
from pathlib import Path

from stages.errors import InputError
from stages.results import write_text


def input_file(args, file: str, split: str) -> str:
    """The path of the input: the file given, or a split of the hub data set fetched to one.

    Args:
        args: the task's arguments.
        file: `train_file`, `validation_file` or `test_file`.
        split: `train_split_name`, `eval_split_name` or `test_split_name`.
    """
    if not args.dataset_name:
        return getattr(args, file)
    return str(fetch_split(args, getattr(args, split)))


def fetch_split(args, split: str) -> Path:
    """One split of `args.dataset_name` as a JSON lines file in the cache; classes by their names.

    Raises:
        InputError: no such data set, configuration or split, or the hub cannot be reached.
    """
    import datasets

    home = Path(args.cache_dir or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    revision = args.dataset_revision
    key = json.dumps([args.dataset_name, args.dataset_config_name, revision, split])
    path = home / "flaxmill" / "datasets" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    # Without a pinned revision the hub is asked anew: what is there may have changed.
    if path.exists() and revision and not args.overwrite_cache:
        return path
    try:
        data = datasets.load_dataset(
            args.dataset_name,
            args.dataset_config_name,
            split=split,
            revision=revision,
            token=args.token,
            cache_dir=args.cache_dir,
            download_mode="force_redownload" if args.overwrite_cache else None,
        )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"--dataset_name {args.dataset_name}, split {split}: cannot be loaded ({reason[0]})"
        ) from None
    names = {column: _class_names(feature) for column, feature in data.features.items()}
    lines = []
    for row in data:
        for column, classes in names.items():
            row[column] = _named(row[column], classes)
        # A date, in a column that no task reads, is no reason to stop.
        lines.append(json.dumps(row, ensure_ascii=False, default=str) + "\n")
    write_text(path, "".join(lines))
    return path


def _class_names(feature) -> list[str] | None:
    """Names of the classes of a column of classes, or of lists of them."""
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _named(value, classes: list[str] | None):
    if classes is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(item, classes) for item in value]
    # -1 stands for "not labelled" in the test splits of the hub, and in files.
    return classes[value] if value >= 0 else str(value)
