"""The safetensors of a model folder, whole or in shards."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from stages.core.errors import InputError, quoted, shortened
from stages.core.strict_json import read_json_object
from stages.models.pretrained.folder import INDEX, WEIGHTS

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5")
FLOATS = ("F64", "F32", "F16", "BF16")
# First parts of the keys in a folder of the bare model, without head and prefix.
BARE = ("embeddings", "encoder", "transformer", "pooler", "decoder", "wte", "wpe", "h", "ln_f")


class StateDict:
    """The tensors of a model folder under their current PyTorch keys, read one at a time.

    Old keys (`LayerNorm.gamma`) and those of a bare model (without `prefix`) are translated to
    the keys of the full model. Raises InputError for weights that cannot be read.
    """

    def __init__(self, folder: Path, prefix: str):
        self.folder = folder
        self.tensors = {}
        for file in _weight_files(folder):
            try:
                handle = safe_open(file, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise InputError(
                    f"{file}: corrupt or truncated ({shortened(str(error), 200)}); restore or "
                    "re-download it"
                ) from error
            for key in handle.keys():  # noqa: SIM118 (a safe_open handle is not a mapping)
                current = _current_key(key)
                if current in self.tensors:
                    raise InputError(
                        f"{file}: has {quoted(key)}, which is in {self.tensors[current][0].name} "
                        "already; give a folder that has each weight once"
                    )
                self.tensors[current] = (file, handle, key)
        if not any(key.startswith(prefix) for key in self.tensors):
            bare = (prefix + k if k.split(".")[0] in BARE else k for k in self.tensors)
            self.tensors = dict(zip(bare, self.tensors.values(), strict=True))

    def shape(self, key: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        _, handle, name = self.tensors[key]
        return tuple(handle.get_slice(name).get_shape())

    def read(self, key: str) -> np.ndarray:
        """Read a tensor as float32; InputError for another type, and for NaN or infinity."""
        file, handle, name = self.tensors[key]
        kind = handle.get_slice(name).get_dtype()
        if kind not in FLOATS:
            raise InputError(
                f"{file}: {shortened(name)} is of type {kind}; convert the weights to float32, "
                "float16 or bfloat16"
            )
        values = handle.get_tensor(name).astype(np.float32)
        if not np.isfinite(values).all():
            raise InputError(
                f"{file}: {shortened(name)} holds NaN or infinity, and so would every result; give "
                "weights from before the training went wrong, or restore the file"
            )
        return values

    def equal(self, one: str, other: str) -> bool:
        """Whether two tensors are equal."""
        return self.shape(one) == self.shape(other) and np.array_equal(
            self.read(one), self.read(other)
        )


def _current_key(key: str) -> str:
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _is_file_name(name) -> bool:
    # 255 bytes is the most that a file system of Linux takes.
    return (
        isinstance(name, str)
        and name == Path(name).name != ".."
        and "\0" not in name
        and len(name.encode("utf-8", "surrogatepass")) <= 255
    )


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        index = read_json_object(folder / INDEX)
        shards = index.get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise InputError(f"{folder / INDEX}: no weight_map; restore or re-download it")
        for name in shards.values():
            # Not `inside`: the hub's cache holds links to files elsewhere.
            if not _is_file_name(name):
                raise InputError(
                    f"{folder / INDEX}: {quoted(name)} is no name of a file in this folder; "
                    "restore or re-download it"
                )
        files = [folder / name for name in sorted(set(shards.values()))]
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
