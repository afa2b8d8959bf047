"""The base classes of all models, and how a model runs its layers."""

from collections.abc import Callable
from functools import partial

import jax
from flax import nnx
from transformers import GenerationConfig, PretrainedConfig

from stages.core.errors import InputError, quoted


class StaticConfig:
    """A configuration as static data of an NNX module: hashable, and compared by content."""

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
        remat: whether layers are recomputed in the backward pass, see
            `stages.models.remat_layers`.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        self.static = StaticConfig(config)
        self.head_name = head
        self.remat = False

    @property
    def config(self) -> PretrainedConfig:
        """The transformers configuration."""
        return self.static.config


class GenerativeModel(Model):
    """A model that generates, with its generation defaults."""

    def __init__(self, config: PretrainedConfig, head: str):
        super().__init__(config, head)
        self.static_generation = StaticConfig(GenerationConfig.from_model_config(config))

    @property
    def generation_config(self) -> GenerationConfig:
        """The content of `generation_config.json`, or what the model's configuration implies."""
        return self.static_generation.config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self.static_generation = StaticConfig(config)


def attention_init(config: PretrainedConfig, *known: str) -> str | None:
    """The configuration's `attention_init`, an entry of ours; None means the usual first values.

    Raises InputError for a value that is not among `known`.
    """
    start = getattr(config, "attention_init", None)
    if start is not None and start not in known:
        options = " or ".join(map(repr, known))
        raise InputError(
            f"config.json: attention_init {quoted(start)} is unknown for {config.model_type}; "
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
    **kwargs,
) -> jax.Array:
    """Return `call(layer, x, rngs=rngs, **kwargs)`, by default `layer(x, rngs=rngs, **kwargs)`.

    This is a separate jitted function, so that only the first of several layers of the same
    structure is traced, differentiated and lowered; XLA inlines it for each. A keyword argument
    is an array, None, or a hashable constant.

    With `remat` only `x` is kept for the backward pass, which recomputes the rest (Chen et al.
    2016, arXiv:1604.06174). Dropout draws the same masks either way: the state of `rngs` is passed
    into the layer and returned from it.
    """
    graph, state = nnx.split((layer, rngs))
    arrays = {
        name: value for name, value in kwargs.items() if value is None or hasattr(value, "at")
    }
    constants = tuple((name, kwargs[name]) for name in kwargs if name not in arrays)
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
