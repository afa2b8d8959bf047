"""Where the shards of a stream lie: a folder, a pattern, an address, or a data set on the hub."""

import glob
import re
from pathlib import Path
from urllib.parse import urlsplit

from stages.core.errors import InputError
from stages.core.hub_names import check_hub_name
from stages.data.class_names import feature_classes
from stages.data.shard_rows import KINDS, kind_of
from stages.data.shards import Shards, reason

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PATTERN = re.compile(r"[*?[]")
# What may be asked for, and the package that fetches it.
SCHEMES = {
    "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "https": "aiohttp",
    "http": "aiohttp",
}  # fmt: skip


def find_shards(given: str, flag: str) -> Shards:
    """The shards that a folder, a file, a pattern or an address names, in the order of names.

    Of a folder, or below an address, all files count that end as shards do, and whose names do
    not begin with `.` or `_`.

    Args:
        given: the user's.
        flag: whose value it is, for messages.

    Raises:
        InputError: no files; another scheme than `SCHEMES`, or one whose package is missing; an
            address that cannot be reached; what `Shards` refuses.
    """
    if not _ADDRESS.match(given):
        paths = _local(given, flag)
        return Shards(given, _filesystem("file", given, flag), paths, paths)
    name = shown(given)
    scheme = urlsplit(given).scheme.lower()
    filesystem = _filesystem(scheme, name, flag)
    try:
        root = filesystem._strip_protocol(given)
        if _PATTERN.search(urlsplit(given).path):
            paths = sorted(filesystem.glob(root))
        elif kind_of(urlsplit(given).path) is not None:
            paths = [root]
        else:
            paths = [path for path in sorted(filesystem.find(root)) if _is_shard(path)]
    except Exception as error:  # of a store's own library
        raise InputError(f"--{flag} {name}: cannot be reached ({reason(error)})") from None
    if not paths:
        raise InputError(f"--{flag} {name}: no files there; expected shards {', '.join(KINDS)}")
    names = [shown(filesystem.unstrip_protocol(path)) for path in paths]
    return Shards(name, filesystem, paths, names)


def _local(given: str, flag: str) -> list[str]:
    path = Path(given)
    if path.is_dir():
        paths = [str(file) for file in path.rglob("*") if file.is_file() and _is_shard(str(file))]
    else:
        paths = [given] if path.exists() else glob.glob(given, recursive=True)
        paths = [one for one in paths if Path(one).is_file()]
    if not paths:
        raise InputError(f"--{flag} {given}: no files there; expected shards {', '.join(KINDS)}")
    return sorted(paths)


def _is_shard(path: str) -> bool:
    path = urlsplit(path).path
    return kind_of(path) is not None and Path(path).name[0] not in "._"


def _filesystem(scheme: str, name: str, flag: str, **options):
    import fsspec

    if scheme not in ("file", *SCHEMES):
        raise InputError(
            f"--{flag} {name}: {scheme}:// is not read; expected a path or {', '.join(SCHEMES)}"
        )
    if scheme in ("http", "https"):
        options["client_kwargs"] = {"trust_env": True}  # a proxy, as downloads take it
    try:
        return fsspec.filesystem(scheme, **options)
    except ImportError:
        package = SCHEMES[scheme]
        raise InputError(
            f"--{flag} {name}: {scheme}:// needs the package {package}; pip install {package}"
        ) from None


def shown(address: str) -> str:
    """An address for a message, without what may be secret: a password, or a signature."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def hub_shards(args, split: str) -> Shards:
    """The shards of one split of `args.dataset_name`, a name on the hub or a folder in its form.

    Raises:
        InputError: no such data set, configuration or split, or the hub cannot be reached; a data
            set of other files than shards.
    """
    if not Path(args.dataset_name).exists():
        check_hub_name(args.dataset_name, "--dataset_name ")
    import datasets

    name = f"--dataset_name {args.dataset_name}, split {split}"
    try:
        builder = datasets.load_dataset_builder(
            args.dataset_name,
            args.dataset_config_name,
            revision=args.dataset_revision,
            token=args.token,
            cache_dir=args.cache_dir,
        )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{name}: cannot be loaded ({reason(error)})") from None
    files = builder.config.data_files or {}
    if split not in files:
        raise InputError(f"{name}: no such split; there are {', '.join(map(str, files)) or 'none'}")
    paths = list(files[split])
    if odd := next((one for one in paths if kind_of(one) is None or "::" in one), None):
        raise InputError(
            f"{name}: {odd} is no shard {', '.join(KINDS)}; the hub may have the data set as "
            "Parquet, under --dataset_revision refs/convert/parquet"
        )
    on_hub = paths[0].startswith("hf://")
    options = {"token": args.token} if on_hub else {}
    filesystem = _filesystem(
        "hf" if on_hub else "file", args.dataset_name, "dataset_name", **options
    )
    paths = [filesystem._strip_protocol(path) for path in paths]
    root = args.dataset_name if on_hub else str(Path(args.dataset_name).absolute())
    names = [path.removeprefix(f"{root}/") for path in paths]
    classes = feature_classes(builder.info.features) or None
    return Shards(f"{args.dataset_name}, split {split}", filesystem, paths, names, classes)
