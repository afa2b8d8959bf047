"""A model folder, local or from the hub, and its configuration."""

import json
from pathlib import Path

from transformers import CONFIG_MAPPING, PretrainedConfig

from stages.core.errors import InputError

GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# What is downloaded from the hub: never a pickle, a script or weights of another framework.
HUB_FILES = [
    "config.json",
    GENERATION,
    "preprocessor_config.json",
    "processor_config.json",
    WEIGHTS,
    INDEX,
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "sentencepiece.bpe.model",
    "spiece.model",
]


def local_folder(path_or_id: str | Path, *, revision=None, cache_dir=None, token=None) -> Path:
    """Return `path_or_id` if it is a folder, else download that model from the hub.

    Raises InputError if it is neither a folder nor a model on the hub that can be reached.
    """
    path, name = Path(path_or_id), str(path_or_id)
    if path.is_dir():
        return path
    remedy = "give a local folder, or a hub id (a name, or owner/name) that can be reached"
    if path.exists():
        raise InputError(f"{name}: is a file, not a model folder; {remedy}")
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        raise InputError(f"{name}: no such folder; {remedy}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = snapshot_download(
            name, revision=revision, cache_dir=cache_dir, token=token, allow_patterns=HUB_FILES
        )
    # OSError covers errors of the hub, offline mode and a missing network.
    except (OSError, HFValidationError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name}: no such folder, and not reached on the hub ({reason}); {remedy}"
        ) from error
    return Path(folder)


def read_config(path: Path, supported: list[str]) -> PretrainedConfig:
    """Read `config.json` of a folder (or a JSON file itself) without running any of its code.

    Raises InputError if it is missing, broken, needs remote code or is of a model type that is not
    among `supported`.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{path}: no config.json; give a folder that transformers' save_pretrained wrote"
        )
    values = read_json(file)
    if "auto_map" in values:
        raise InputError(
            f"{file}: needs remote code (auto_map), which is never run; "
            f"use a model of one of these types: {', '.join(supported)}"
        )
    kind = values.get("model_type")
    if kind not in supported:
        raise InputError(
            f"{file}: model_type {kind!r} is not supported; supported: {', '.join(supported)}"
        )
    try:
        return CONFIG_MAPPING[kind].from_dict(values)
    except Exception as error:  # transformers raises many types for values of a wrong type
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: {reason}; correct the value in this file") from error


def read_json(file: Path) -> dict:
    """The JSON object in a file of a model folder; InputError where there is none."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not valid JSON ({error}); restore or re-download it") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: not a JSON object; restore or re-download it")
    return values
