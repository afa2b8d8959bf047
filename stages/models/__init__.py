"""Models in Flax NNX, loaded from and saved to Hugging Face folders.

A family's module or package is imported only when a configuration names it, so that a stage
depends on no other family. It has

- `HEADS`: the heads it offers,
- `check(config)`: raises InputError for a configuration that is not supported,
- `build(config, head)`: an abstract model (see `layers.py`),
- `apply_init(model)`, optional: changes first values as the configuration asks,
- `names(config, head)`: PyTorch's names for its modules, a `pretrained.Names`,
- `architecture(config, head)`: the PyTorch class that loads its weights,
- `max_positions(config)`: how many tokens a sequence may have.

A model is called with arrays under the tokenizer's names and returns float32 logits. Without
`rngs` it is in evaluation mode; dropout draws from `rngs.dropout()` of an `nnx.Rngs(dropout=key)`,
made inside the jitted step.

- encoders: `model(input_ids, attention_mask=None, token_type_ids=None, *, rngs=None)`
- GPT-2: `model(input_ids, attention_mask=None, *, rngs=None)`
- T5: `model(input_ids, attention_mask=None, decoder_input_ids=..., decoder_attention_mask=None, *,
  rngs=None)`
- Whisper: `model(input_features, decoder_input_ids=..., *, rngs=None)`

`model.hidden(...)` returns the last layer's output `[rows, time, width]` and `model.logits(hidden)`
applies the head to `[..., width]`, so that a masked language model can score the masked positions
only. `model.config` is the transformers configuration. `decoding/cache.py` describes how the last
three generate; their defaults are in `model.generation_config`.
"""

import importlib
import json
from pathlib import Path
from types import ModuleType

from transformers import PretrainedConfig

from stages.core.errors import InputError, quoted
from stages.models import pretrained
from stages.models.base import GenerativeModel, Model
from stages.models.parameters import initialise

# {model type: module that serves it}. A file, so that the pipeline can read it without JAX.
FAMILIES = json.loads((Path(__file__).parent / "families.json").read_text(encoding="utf-8"))


def load_config(
    path_or_id: str | Path, *, revision=None, cache_dir=None, token=None
) -> PretrainedConfig:
    """Read the configuration of a model folder or hub id, or a configuration file.

    Raises InputError if there is none, or if it is broken, needs remote code, or is of a model
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

    Their distributions are those of transformers' PyTorch classes: in an encoder linear kernels
    and embeddings are normal with `initializer_range`, biases and the padding rows zero, norms
    one; the classes of the other families document their differences. With
    `position_embedding_init: "sinusoidal"` in the configuration an encoder's learned positions
    start as sinusoids of the same standard deviation; with `attention_init: "neighbours"` it
    starts as `bert/init_neighbours.py` describes.
    Raises InputError for a configuration or head that is not supported.
    """
    family = _family(config, head)
    model = family.build(config, head)
    initialise(model, seed)
    if hasattr(family, "apply_init"):
        family.apply_init(model)
    return model


def without_weights(config: PretrainedConfig, head: str) -> Model:
    """The same model with shapes in place of weights, which takes no time and no memory."""
    return _family(config, head).build(config, head)


def from_pretrained(
    path_or_id: str | Path,
    head: str,
    *,
    config: PretrainedConfig | None = None,
    seed: int = 0,
    revision: str | None = None,
    cache_dir: str | None = None,
    token: str | None = None,
    new_head: bool = True,
) -> Model:
    """Load a model from a folder or hub id, in float32 and in evaluation mode.

    `config` replaces the folder's, for instance with another number of labels. Weights of the head
    that are missing or have another shape are initialised from `seed` and logged; without
    `new_head` they are refused. Raises InputError, in one line that names folder and key, for what
    cannot be loaded.
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
    pretrained.load(model, family.names(config, head), folder, seed, new_head=new_head)
    if isinstance(model, GenerativeModel):
        pretrained.load_generation_config(model, folder)
    return model


def save_pretrained(model: Model, path: str | Path) -> None:
    """Write a model as `config.json` and `model.safetensors`, which plain transformers loads.

    A generative model has a `generation_config.json` too. The folder is made if need be; each file
    is replaced atomically, and the same model gives the same bytes. The caller saves the tokenizer.
    """
    config, head = model.config, model.head_name
    family = _family(config, head)
    names, architecture = family.names(config, head), family.architecture(config, head)
    pretrained.save(model, names, architecture, Path(path))


def remat_layers(model: Model) -> None:
    """Rematerialise layers: keep only their inputs for the backward pass and recompute the rest.

    It saves memory, takes about a third more time, and gives the same numbers.
    """
    model.remat = True


def max_positions(config: PretrainedConfig) -> int:
    """The number of tokens that a sequence may have under this configuration."""
    return _module(config).max_positions(config)


def _module(config: PretrainedConfig) -> ModuleType:
    if config.model_type not in FAMILIES:
        raise InputError(
            f"model_type {quoted(config.model_type)} is not supported; "
            f"supported: {', '.join(sorted(FAMILIES))}"
        )
    return importlib.import_module(FAMILIES[config.model_type])


def _family(config: PretrainedConfig, head: str) -> ModuleType:
    module = _module(config)
    if head not in module.HEADS:
        raise InputError(
            f"head {quoted(head)} is not one of {config.model_type}'s: {', '.join(module.HEADS)}; "
            "give --model_name_or_path a checkpoint of another type"
        )
    module.check(config)
    return module
