"""What every model carries beside its parameters, and how its layers are run."""

from collections.abc import Callable
from functools import partial

import jax
from flax import nnx
from transformers import GenerationConfig, PretrainedConfig

from stages.core.errors import InputError


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
        remat: layers keep only their inputs for the backward pass, see
            `stages.models.remat_layers`.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        self.static = StaticConfig(config)
        self.head_name = head
        self.remat = False

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
    layer: nnx.Module,
    x: jax.Array,
    rngs: nnx.Rngs | None,
    *,
    remat: bool,
    call: Callable[..., jax.Array] | None = None,
    **given,
) -> jax.Array:
    """Return `call(layer, x, rngs=rngs, **given)`, by default `layer(x, rngs=rngs, **given)`.

    A function of its own in the traced program, so that of layers of one structure the first
    alone is traced, differentiated and lowered; XLA puts it in place again for each. What is given
    is an array, None, or a hashable constant.

    With `remat` only `x` is kept for the backward pass, which computes the rest once more
    (Chen et al. 2016, arXiv:1604.06174). Dropout draws the same masks either way: the state of
    `rngs` goes into the layer and comes out of it as a value.
    """
    graph, state = nnx.split((layer, rngs))
    arrays = {name: value for name, value in given.items() if value is None or hasattr(value, "at")}
    constants = tuple((name, given[name]) for name in given if name not in arrays)
    x, state = _run_layer(call or type(layer).__call__, graph, constants, remat, state, x, arrays)
    if rngs is not None:
        nnx.update(rngs, state)
    return x


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run_layer(call, graph, constants, remat, state, x, arrays):
    def pure(state, x, arrays):
        layer, rngs = nnx.merge(graph, state)
        y = call(layer, x, rngs=rngs, **dict(constants), **arrays)
        return y, None if rngs is None else nnx.state(rngs)

    return (jax.checkpoint(pure) if remat else pure)(state, x, arrays)
