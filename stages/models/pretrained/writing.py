"""Saving of weights, configuration and generation config."""

import copy
import os
import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from stages.core.files import atomic_file, write_text
from stages.models.base import GenerativeModel, Model
from stages.models.parameters import named_parameters
from stages.models.pretrained.folder import GENERATION, WEIGHTS
from stages.models.pretrained.names import Names


def save(model: Model, names: Names, architecture: str, folder: Path) -> None:
    """Write `config.json` and `model.safetensors`, each atomically.

    A generative model has its `generation_config.json` too. Weights are float32 under PyTorch's
    keys; the same model gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for path, param in named_parameters(model):
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
