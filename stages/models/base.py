"""What every model carries beside its parameters, and how its layers are run."""

from collections.abc import Callable

import jax
from flax import nnx
from transformers import GenerationConfig, PretrainedConfig

from stages.errors import InputError


class StaticConfig:
    """A configuration as NNX can carry it: compared and hashed by what it says."""

    def __init__(self, config: PretrainedConfig | GenerationConfig):
        self.config = config
        self.text = config.to_json_string()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StaticConfig) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class Model(nnx.Module):
    """A model of some family with one head.

    Attributes:
        head_name: the head, as `stages.models.from_config` takes it.
        checkpointed: layers keep only their inputs for the backward pass, see
            `stages.models.checkpoint_layers`.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        self.static = StaticConfig(config)
        self.head_name = head
        self.checkpointed = False

    @property
    def config(self) -> PretrainedConfig:
        """The transformers configuration; not part of the parameters."""
        return self.static.config


class GenerativeModel(Model):
    """A model that generates, with the defaults of its generation."""

    def __init__(self, config: PretrainedConfig, head: str):
        super().__init__(config, head)
        self.static_generation = StaticConfig(GenerationConfig.from_model_config(config))

    @property
    def generation_config(self) -> GenerationConfig:
        """What `generation_config.json` says, or else the model's configuration."""
        return self.static_generation.config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self.static_generation = StaticConfig(config)


def attention_init(config: PretrainedConfig, *known: str) -> str | None:
    """What a configuration says of first values, an entry of ours; None is the usual start.

    Raises InputError for what is not `known`.
    """
    start = getattr(config, "attention_init", None)
    if start is not None and start not in known:
        options = " or ".join(map(repr, known))
        raise InputError(
            f"config.json: attention_init {start!r} is unknown for {config.model_type}; "
            + (f"use {options}, or leave it out" if known else "leave it out")
        )
    return start


def run_layer(
    layer: Callable[..., jax.Array], x: jax.Array, rngs: nnx.Rngs | None, *, checkpointed: bool
) -> jax.Array:
    """Call `layer(x, rngs=rngs)`.

    With `checkpointed` only `x` is kept for the backward pass, which computes the rest once more
    (Chen et al. 2016, arXiv:1604.06174). Dropout draws the same masks either way: the state of
    `rngs` goes into the layer and comes out of it as a value.
    """
    if not checkpointed:
        return layer(x, rngs=rngs)
    if rngs is None:
        return jax.checkpoint(lambda x: layer(x, rngs=None))(x)
    graph, state = nnx.split(rngs)

    def pure(x, state):
        inner = nnx.merge(graph, state)
        return layer(x, rngs=inner), nnx.state(inner)

    x, state = jax.checkpoint(pure)(x, state)
    nnx.update(rngs, state)
    return x
