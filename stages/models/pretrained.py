"""Hugging Face folders in and out: configuration, safetensors weights, PyTorch's names.

Only safetensors are read, and no code from a checkpoint runs. Everything a user can mend is an
`InputError` of one line that names the folder or file.
"""

import copy
import json
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers import CONFIG_MAPPING, GenerationConfig, PretrainedConfig

from stages.core.errors import InputError
from stages.core.files import atomic_file, write_text
from stages.models.base import GenerativeModel, Model
from stages.models.layers import dotted, initialise, parameters, set_parameter

logger = logging.getLogger(__name__)

GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5")
# What is asked of the hub: never a pickle, a script or weights of another framework.
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
FLOATS = ("F64", "F32", "F16", "BF16")
# First parts of the keys of a model saved without a head and without its family's prefix.
BARE = ("embeddings", "encoder", "transformer", "pooler", "decoder", "wte", "wpe", "h", "ln_f")


@dataclass(frozen=True)
class Names:
    """What a PyTorch checkpoint calls the modules of a model."""

    modules: dict[str, str]  # dotted NNX path of a module: its PyTorch name
    prefix: str  # begins every key but the head's, except in checkpoints of the bare model
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)  # key: others in its place
    copies: dict[str, str] = field(default_factory=dict)  # key: a second one to write
    tied: dict[str, str] = field(default_factory=dict)  # key: the one whose tensor it repeats
    straight: tuple[str, ...] = ()  # ends of the modules that PyTorch has not transposed
    buffers: tuple[str, ...] = ("position_ids", "token_type_ids")  # ends of keys without weights

    def key(self, path: tuple) -> tuple[str, bool]:
        """Name the tensor of an NNX path, and say whether PyTorch has its axes reversed."""
        leaf = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(path[-1])
        module = dotted(path[:-1])
        reversed_axes = path[-1] == "kernel" and not module.endswith(self.straight)
        return f"{self.modules[module]}.{leaf or path[-1]}", reversed_axes


def local_folder(path_or_id: str | Path, *, revision=None, cache_dir=None, token=None) -> Path:
    """Return `path_or_id` if it is a folder, else download that model from the hub.

    Raises InputError when it is neither a folder nor a model that can be reached.
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
    # OSError covers the hub's own errors, offline mode, and no network at all.
    except (OSError, HFValidationError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name}: no such folder, and not reached on the hub ({reason}); {remedy}"
        ) from error
    return Path(folder)


def read_config(path: Path, supported: list[str]) -> PretrainedConfig:
    """Read `config.json` of a folder (or a JSON file itself) without running any of its code.

    Raises InputError when it is missing, broken, needs remote code or is of another model type
    than `supported`.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{path}: no config.json; give a folder that transformers' save_pretrained wrote"
        )
    values = _read_json(file)
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
    except Exception as error:  # transformers raises many kinds for values of a wrong type
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: {reason}; correct the value in this file") from error


def _read_json(file: Path) -> dict:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not valid JSON ({error}); restore or re-download it") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: not a JSON object; restore or re-download it")
    return values


class Tensors:
    """The tensors of a checkpoint folder, under today's PyTorch names, read one at a time.

    Old names (`LayerNorm.gamma`) and keys of a bare encoder (without `prefix`) are brought to
    the names of the full model. Raises InputError for weights that cannot be read.
    """

    def __init__(self, folder: Path, prefix: str):
        self.folder = folder
        self.places = {}
        for file in _weight_files(folder):
            try:
                handle = safe_open(file, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise InputError(
                    f"{file}: corrupt or truncated ({error}); restore or re-download it"
                ) from error
            for key in handle.keys():  # noqa: SIM118 (a safe_open handle is not a mapping)
                self.places[_modern(key)] = (file, handle, key)
        if not any(key.startswith(prefix) for key in self.places):
            bare = (prefix + k if k.split(".")[0] in BARE else k for k in self.places)
            self.places = dict(zip(bare, self.places.values(), strict=True))

    def shape(self, key: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        _, handle, name = self.places[key]
        return tuple(handle.get_slice(name).get_shape())

    def read(self, key: str) -> np.ndarray:
        """Read a tensor as float32."""
        file, handle, name = self.places[key]
        kind = handle.get_slice(name).get_dtype()
        if kind not in FLOATS:
            raise InputError(
                f"{file}: {name} is of type {kind}; convert the checkpoint to float32, "
                "float16 or bfloat16"
            )
        return handle.get_tensor(name).astype(np.float32)

    def same(self, one: str, other: str) -> bool:
        """Say whether two tensors are equal, not a number to itself too."""
        return self.shape(one) == self.shape(other) and np.array_equal(
            self.read(one), self.read(other), equal_nan=True
        )


def _modern(key: str) -> str:
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        index = _read_json(folder / INDEX)
        shards = index.get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise InputError(f"{folder / INDEX}: no weight_map; restore or re-download it")
        files = [folder / Path(str(name)).name for name in sorted(set(shards.values()))]
        for file in files:
            if not file.is_file():
                raise InputError(f"{file}: missing, though {INDEX} names it; re-download it")
        return files
    pickled = sorted(file.name for pattern in PICKLED for file in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{folder}: only {', '.join(pickled)}, which is not read (it may run code or is "
            "another framework's); load it in PyTorch transformers and save_pretrained it to "
            "safetensors"
        )
    raise InputError(
        f"{folder}: no {WEIGHTS}, and only safetensors are read; give a folder that "
        "transformers' save_pretrained wrote"
    )


def load(model: nnx.Module, names: Names, folder: Path, seed: int) -> None:
    """Fill a blank model from the folder's tensors, and what its head lacks from `seed`.

    One line is logged for what was newly made and one for what the file holds beside. Raises
    InputError for a weight, not of the head, that is missing or of another shape, and for a
    second tensor that is not the copy which it should be.
    """
    tensors = Tensors(folder, names.prefix)
    used, odd = set(), {}
    for path, param in parameters(model):
        key, transposed = names.key(path)
        candidates = (key, *names.aliases.get(key, ()))
        used |= set(candidates)
        source = next((name for name in candidates if name in tensors.places), key)
        wanted = param.shape[::-1] if transposed else param.shape
        found = tensors.shape(source) if source in tensors.places else None
        if found == wanted:
            values = tensors.read(source)
            set_parameter(param, values.T if transposed else values)
        elif path[0] == "head":
            odd[dotted(path)] = key if found is None else f"{key} ({found} in the file)"
        else:
            there = "missing" if found is None else f"of shape {found}"
            raise InputError(
                f"{folder}: weight {key} is {there}, {wanted} is needed; "
                "give weights that belong to config.json"
            )
    if odd:
        initialise(model, seed)
        logger.warning("%s: newly initialised: %s", folder, ", ".join(odd.values()))
    for key, source in names.tied.items():
        if {key, source} <= tensors.places.keys() and not tensors.same(key, source):
            raise InputError(
                f"{folder}: {key} is not the copy of {source} that config.json "
                "(tie_word_embeddings) has it be; give weights that belong to config.json"
            )
    unused = [k for k in tensors.places if k not in used | set(names.tied)]
    unused = [k for k in unused if not k.endswith(names.buffers)]
    if unused:
        logger.info("%s: not used: %s", folder, ", ".join(sorted(unused)))


def load_generation(model: GenerativeModel, folder: Path) -> None:
    """Take over the folder's `generation_config.json`, if there is one."""
    file = folder / GENERATION
    if not file.is_file():
        return
    try:
        model.generation_config = GenerationConfig.from_dict(_read_json(file))
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: {reason}; correct the value in this file") from error


def save(model: Model, names: Names, architecture: str, folder: Path) -> None:
    """Write `config.json` and `model.safetensors`, each complete or not at all.

    So is `generation_config.json` of a model that generates. Weights are float32 under PyTorch's
    names; the same model gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for path, param in parameters(model):
        key, transposed = names.key(path)
        values = np.asarray(param[...], np.float32)
        tensors[key] = np.ascontiguousarray(values.T if transposed else values)
    for key, second in names.copies.items():
        tensors[second] = tensors[key]
    config = copy.deepcopy(model.config)
    config.architectures = [architecture]
    config.dtype = "float32"
    text = config.to_json_string()
    _write_weights(folder / WEIGHTS, tensors)
    write_text(folder / "config.json", text)
    if isinstance(model, GenerativeModel):
        write_text(folder / GENERATION, model.generation_config.to_json_string())


def _write_weights(file: Path, tensors: dict[str, np.ndarray]) -> None:
    with atomic_file(file) as temporary:
        # safetensors makes a file that only its owner may read; a shared cache needs the usual.
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            # It has the system's error number only in its message.
            found = re.search(r"\(os error (\d+)\)", str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(file)) from None
        temporary.chmod(mode)
