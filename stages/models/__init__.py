"""Models: Hugging Face checkpoints in and out of Flax NNX.

A family's module is imported only when a configuration names it, so that a stage depends on its
own family alone. Such a module has

- `HEADS`: the heads it offers,
- `check(config)`: raises InputError for a configuration that is not supported,
- `build(config, head)`: a blank model (`layers.py` says what blank means),
- `apply_init(model)`, in some: changes new values where the configuration asks for it,
- `names(config, head)`: what PyTorch calls its modules, a `pretrained.Names`,
- `architecture(config, head)`: the PyTorch class that loads its checkpoints,
- `max_positions(config)`: how many tokens a sequence may have.

A model is called with arrays under the tokenizer's names and returns float32 logits. Without
`rngs` it is in evaluation mode; dropout draws from `rngs.dropout()` of an `nnx.Rngs(dropout=key)`,
made inside the jitted step.

- encoders: `model(input_ids, attention_mask=None, token_type_ids=None, *, rngs=None)`
- GPT-2: `model(input_ids, attention_mask=None, *, rngs=None)`
- T5: `model(input_ids, attention_mask=None, decoder_input_ids=..., decoder_attention_mask=None, *,
  rngs=None)`
- Whisper: `model(input_features, decoder_input_ids=..., *, rngs=None)`

`model.hidden(...)` gives the last layer's output `[rows, time, width]` and `model.logits(hidden)`
applies the head to `[..., width]`, so that a masked language model need score only the masked
places. `model.config` is the transformers configuration. `cache.py` says how the last three
generate; their defaults for it are `model.generation_config`.
"""

import importlib
import json
from pathlib import Path
from types import ModuleType

from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models import pretrained
from stages.models.base import GenerativeModel, Model
from stages.models.parameters import initialise

# {model type: module that serves it}. A file, so that the pipeline can read it without JAX.
FAMILIES = json.loads((Path(__file__).parent / "families.json").read_text(encoding="utf-8"))


def load_config(
    path_or_id: str | Path, *, revision=None, cache_dir=None, token=None
) -> PretrainedConfig:
    """Read the configuration of a model folder, of a hub id, or a configuration file by itself.

    Raises InputError when there is none, when it is broken, needs remote code, or is of a model
    type that is not supported.
    """
    path = Path(path_or_id)
    if not path.is_file():
        path = pretrained.local_folder(
            path_or_id, revision=revision, cache_dir=cache_dir, token=token
        )
    config = pretrained.read_config(path, sorted(FAMILIES))
    try:
        _module(config).check(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return config


def from_config(config: PretrainedConfig, head: str, *, seed: int = 0) -> Model:
    """Make a model with new float32 weights, the same for the same seed.

    They are spread as transformers' PyTorch classes have them: in an encoder linear kernels and
    embeddings are normal with `initializer_range`, biases and the padding rows zero, norms one;
    the classes of the other families say what differs. With `position_embedding_init:
    "sinusoidal"` in the configuration an encoder's learned positions start as sinusoids of the
    same standard deviation; with `attention_init: "neighbours"` it starts as `neighbours.py`
    describes.
    Raises InputError for a configuration or head that is not supported.
    """
    family = _family(config, head)
    model = family.build(config, head)
    initialise(model, seed)
    if hasattr(family, "apply_init"):
        family.apply_init(model)
    return model


def from_pretrained(
    path_or_id: str | Path,
    head: str,
    *,
    config: PretrainedConfig | None = None,
    seed: int = 0,
    revision: str | None = None,
    cache_dir: str | None = None,
    token: str | None = None,
) -> Model:
    """Load a model from a folder or hub id, in float32 and in evaluation mode.

    `config` replaces the folder's own, with another number of labels for instance. Weights of
    the head that the checkpoint lacks, or has in another shape, are made from `seed` and named
    in the log. Raises InputError, in one line that names folder and key, for what cannot be
    loaded.
    """
    folder = pretrained.local_folder(
        path_or_id, revision=revision, cache_dir=cache_dir, token=token
    )
    found = load_config(folder)
    if config is None:
        config = found
    elif config.model_type != found.model_type:
        raise InputError(
            f"{folder}: holds a {found.model_type} model, but the configuration given is of type "
            f"{config.model_type}; give one that belongs to the weights"
        )
    family = _family(config, head)
    model = family.build(config, head)
    pretrained.load(model, family.names(config, head), folder, seed)
    if isinstance(model, GenerativeModel):
        pretrained.load_generation_config(model, folder)
    return model


def save_pretrained(model: Model, path: str | Path) -> None:
    """Write a model as `config.json` and `model.safetensors`, which plain transformers loads.

    A model that generates has its `generation_config.json` beside them. The folder is made if
    need be; each file is replaced whole, and the same model gives the same bytes. The tokenizer
    is the caller's to save.
    """
    config, head = model.config, model.head_name
    family = _family(config, head)
    names, architecture = family.names(config, head), family.architecture(config, head)
    pretrained.save(model, names, architecture, Path(path))


def remat_layers(model: Model) -> None:
    """Have each layer keep only its input for the backward pass, and compute the rest again then.

    That takes less memory and about a third more time, and gives the same numbers.
    """
    model.remat = True


def max_positions(config: PretrainedConfig) -> int:
    """Return how many tokens a sequence may have under this configuration."""
    return _module(config).max_positions(config)


def _module(config: PretrainedConfig) -> ModuleType:
    if config.model_type not in FAMILIES:
        raise InputError(
            f"model_type {config.model_type!r} is not supported; "
            f"supported: {', '.join(sorted(FAMILIES))}"
        )
    return importlib.import_module(FAMILIES[config.model_type])


def _family(config: PretrainedConfig, head: str) -> ModuleType:
    module = _module(config)
    if head not in module.HEADS:
        raise InputError(
            f"head {head!r} is not one of {config.model_type}'s: {', '.join(module.HEADS)}"
        )
    module.check(config)
    return module
