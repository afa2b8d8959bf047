"""Loading of weights and of the generation config."""

import logging
from pathlib import Path

from flax import nnx
from transformers import GenerationConfig

from stages.core.errors import InputError
from stages.models.base import GenerativeModel
from stages.models.parameters import initialise, named_parameters, set_parameter
from stages.models.pretrained.folder import GENERATION, read_json
from stages.models.pretrained.names import Names
from stages.models.pretrained.state_dict import StateDict

logger = logging.getLogger(__name__)


def load(model: nnx.Module, names: Names, folder: Path, seed: int) -> None:
    """Load an abstract model from a folder; initialise what its head lacks from `seed`.

    Newly initialised and unused weights are logged, one line each. Raises InputError for a weight
    outside the head that is missing or has another shape, and for a tied tensor that differs from
    the one it should repeat.
    """
    state = StateDict(folder, names.prefix)
    used, new = set(), []
    for path, param in named_parameters(model):
        key, transposed = names.key(path)
        candidates = (key, *names.aliases.get(key, ()))
        used |= set(candidates)
        source = next((name for name in candidates if name in state.tensors), key)
        wanted = param.shape[::-1] if transposed else param.shape
        found = state.shape(source) if source in state.tensors else None
        if found == wanted:
            values = state.read(source)
            set_parameter(param, values.T if transposed else values)
        elif path[0] == "head":
            new.append(key if found is None else f"{key} ({found} in the file)")
        else:
            there = "missing" if found is None else f"of shape {found}"
            raise InputError(
                f"{folder}: weight {key} is {there}, {wanted} is needed; "
                "give weights that belong to config.json"
            )
    if new:
        initialise(model, seed)
        logger.warning("%s: newly initialised: %s", folder, ", ".join(new))
    for key, source in names.tied.items():
        if {key, source} <= state.tensors.keys() and not state.equal(key, source):
            raise InputError(
                f"{folder}: {key} is not the copy of {source} that config.json "
                "(tie_word_embeddings) requires; give weights that belong to config.json"
            )
    unused = [k for k in state.tensors if k not in used | set(names.tied)]
    unused = [k for k in unused if not k.endswith(names.buffers)]
    if unused:
        logger.info("%s: not used: %s", folder, ", ".join(sorted(unused)))


def load_generation_config(model: GenerativeModel, folder: Path) -> None:
    """Set the model's generation config from the folder's `generation_config.json`, if any."""
    file = folder / GENERATION
    if not file.is_file():
        return
    try:
        model.generation_config = GenerationConfig.from_dict(read_json(file))
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: {reason}; correct the value in this file") from error
