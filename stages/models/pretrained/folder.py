"""A model folder, local or from the hub."""

from pathlib import Path

from stages.core.errors import InputError, shortened
from stages.core.hub_names import check_hub_name

GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# What flaxmill knows of a model that it trained, see `stages.training.kept_arguments`.
KEPT = "flaxmill.json"
# What is downloaded from the hub: never a pickle, a script or weights of another framework.
HUB_FILES = [
    "config.json",
    GENERATION,
    "preprocessor_config.json",
    "processor_config.json",
    WEIGHTS,
    INDEX,
    KEPT,
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
    if path.is_symlink():
        raise InputError(f"{name}: is a link that leads nowhere; {remedy}")
    if path.exists():
        raise InputError(f"{name}: is a file, not a model folder; {remedy}")
    check_hub_name(name)
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
            f"{name}: no such folder, and not reached on the hub ({shortened(reason, 300)}); "
            f"{remedy}"
        ) from error
    return Path(folder)
