"""Data sets from the hub, written as JSON lines or Parquet for the readers of files."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from stages.core.errors import InputError, quoted
from stages.core.files import atomic_file, inside, user_cache
from stages.core.hub_names import check_hub_name
from stages.data.class_names import class_name, feature_classes
from stages.data.find_shards import hub_shards


def cache_folder(args) -> Path:
    """The folder for what can be computed again: in `cache_dir`, or in the user's cache."""
    return Path(args.cache_dir) / "flaxmill" if args.cache_dir else user_cache()


def input_file(args, file: str, split: str) -> str:
    """The path of the input: the given file, or one with a split of the hub data set.

    Args:
        args: the task's arguments.
        file: `train_file`, `validation_file` or `test_file`.
        split: `train_split_name`, `eval_split_name` or `test_split_name`.
    """
    if not args.dataset_name:
        return getattr(args, file)
    if args.streaming:
        return str(_fetch_shards(args, getattr(args, split)))
    return str(fetch_split(args, getattr(args, split)))


def _fetch_shards(args, split: str) -> Path:
    """One split as JSON lines in the cache; of the others, which may be too large, nothing.

    Raises:
        InputError: what `hub_shards` and their rows refuse.
    """
    shards = hub_shards(args, split)
    path = cache_folder(args) / "datasets" / f"{shards.digest()[:16]}.json"
    if not path.exists() or args.overwrite_cache:
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for row, _ in shards.named_rows():
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
    return path


def fetch_split(args, split: str) -> Path:
    """One split of `args.dataset_name` as a file in the cache.

    It is JSON lines with class names; with audio, Parquet that contains the audio files.

    Raises:
        InputError: no such data set, configuration or split, or the hub cannot be reached.
    """
    if not Path(args.dataset_name).exists():
        check_hub_name(args.dataset_name, "--dataset_name ")
    import datasets

    revision = args.dataset_revision
    key = json.dumps([args.dataset_name, args.dataset_config_name, revision, split])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    json_lines, parquet = (
        cache_folder(args) / "datasets" / f"{name}{suffix}" for suffix in (".json", ".parquet")
    )
    # Without a pinned revision the hub is asked every time, as the data may have changed.
    if revision and not args.overwrite_cache:
        for path in (json_lines, parquet):
            if path.exists():
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
        while error.__cause__ is not None:  # the first only says what the library was doing
            error = error.__cause__
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        # torchcodec is missing, or the torch that it needs.
        if isinstance(error, ImportError) and "torch" in str(error):
            reason = (
                "it is a folder of audio files, for which the library needs torchcodec; download "
                "it, and give each split's folder as --train_file and --validation_file"
            )
        raise InputError(
            f"--dataset_name {args.dataset_name}, split {split}: cannot be loaded ({reason})"
        ) from None
    if any(isinstance(feature, datasets.Audio) for feature in data.features.values()):
        _check_audio(data, args, split)
        _write_audio(data, parquet)
        return parquet
    names = feature_classes(data.features)
    with atomic_file(json_lines) as temporary, temporary.open("w", encoding="utf-8") as file:
        for number, row in enumerate(data, 1):
            place = f"{args.dataset_name}, split {split}, row {number}"
            for column, classes in names.items():
                row[column] = class_name(row[column], classes, place)
            # Dates, in a column that no task reads, become strings.
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
    return json_lines


def _check_audio(data, args, split: str) -> None:
    """Refuse rows that name another file of this machine: it would be read into the data set.

    Raises:
        InputError: names the row and the file.
    """
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = [args.dataset_name]
    if not Path(args.dataset_name).is_dir():
        folders = [args.cache_dir or datasets.config.HF_DATASETS_CACHE, HF_HUB_CACHE]
    for column, feature in data.features.items():
        if not isinstance(feature, datasets.Audio):
            continue
        row = 0
        for chunk in data.data.column(column).chunks:
            there, paths = chunk.field("bytes").is_valid(), chunk.field("path").to_pylist()
            for is_there, path in zip(there.to_pylist(), paths, strict=True):
                row += 1
                if not (is_there or path is None or _may_be_read(path, folders)):
                    raise InputError(
                        f"--dataset_name {args.dataset_name}, split {split}, row {row}: "
                        f"{quoted(path)} is outside the data set; leave the row out"
                    )


def _may_be_read(path: str, folders: list[str]) -> bool:
    """Whether the library may open a path: it takes addresses, and files within archives."""
    origin = path.split("::")[-1]
    scheme = urlsplit(origin).scheme
    if scheme:
        return scheme in ("hf", "https", "http")
    for folder in folders:
        with suppress(InputError):
            inside(folder, Path(origin).absolute())
            return True
    return False


def _write_audio(data, path: Path) -> None:
    """Write all columns and the encoded audio files: decoding them would need torch."""
    from datasets.table import embed_table_storage

    data = data.with_format("arrow")
    data = data.map(embed_table_storage, batched=True, keep_in_memory=False)
    with atomic_file(path) as temporary:
        data.to_parquet(temporary)
