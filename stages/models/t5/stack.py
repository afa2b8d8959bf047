"""T5's layers and relative positions: what its encoder and its decoder have in common."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from transformers import PretrainedConfig

from stages.models.decoding.blocks import Attention, FeedForward, Layer
from stages.models.layers import Embedding, Linear, RMSNorm
from stages.models.parameters import Normal
from stages.models.t5.check import feed_forward_activation


def _attention(config: PretrainedConfig) -> Attention:
    width, inner = config.d_model, config.num_heads * config.d_kv
    factor = config.initializer_factor

    def linear(inputs: int, outputs: int, variance: float) -> Linear:
        return Linear(inputs, outputs, std=factor * variance**-0.5, bias=False)

    # T5 does not scale the scores; its queries start smaller instead.
    return Attention(
        linear(width, inner, width * config.d_kv),
        linear(width, inner, width),
        linear(width, inner, width),
        linear(inner, width, inner),
        heads=config.num_heads,
        scale=1.0,
        rate=config.dropout_rate,
    )


def make_layer(config: PretrainedConfig, *, cross: bool) -> Layer:
    """Make one abstract layer, with a cross-attention if `cross`."""
    factor = config.initializer_factor
    expand = partial(
        Linear, config.d_model, config.d_ff, std=factor * config.d_model**-0.5, bias=False
    )
    act, gated = feed_forward_activation(config.feed_forward_proj)
    return Layer(
        _attention(config),
        FeedForward(
            expand(),
            Linear(config.d_ff, config.d_model, std=factor * config.d_ff**-0.5, bias=False),
            act=act,
            gate=expand() if gated else None,
            rate=config.dropout_rate,
        ),
        partial(RMSNorm, config.d_model, eps=config.layer_norm_epsilon, scale=factor),
        rate=config.dropout_rate,
        cross=_attention(config) if cross else None,
    )


def bucket_table(count: int, farthest: int) -> np.ndarray:
    """Return the bucket of each distance 0 to `farthest`, int32 `[farthest + 1]`.

    The first half of the `count` buckets hold one distance each, the others more and more, up to
    `farthest` and beyond (Raffel et al. 2020, section 2.1). The logarithm is in float32, as in
    PyTorch; in float64 some distances would fall into the next bucket.
    """
    exact = count // 2
    distance = np.arange(farthest + 1)
    steps = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    steps = steps / np.float32(math.log(farthest / exact)) * np.float32(count - exact)
    far = np.minimum(exact + steps.astype(np.int32), count - 1)
    return np.where(distance < exact, distance, far).astype(np.int32)


class Stack(nnx.Module):
    """The layers of the encoder or the decoder, the final norm and the relative positions."""

    def __init__(self, config: PretrainedConfig, layers: int, *, decoder: bool):
        self.layers = nnx.List([make_layer(config, cross=decoder) for _ in range(layers)])
        self.norm = RMSNorm(
            config.d_model, eps=config.layer_norm_epsilon, scale=config.initializer_factor
        )
        count = config.relative_attention_num_buckets
        std = config.initializer_factor * config.d_model**-0.5
        self.positions = Embedding(count, config.num_heads, init=Normal(std))
        self.farthest = config.relative_attention_max_distance
        self.decoder = decoder

    def position_bias(self, queries: jax.Array, keys: jax.Array) -> jax.Array:
        """Look up the bias `[1, heads, queries, keys]` of int32 positions `[queries]`, `[keys]`.

        In the encoder the second half of the buckets is for keys after the query, which the
        decoder never sees.
        """
        count = self.positions.embedding.shape[0]
        ahead = keys[None, :] - queries[:, None]
        if self.decoder:
            table = jnp.asarray(bucket_table(count, self.farthest))
            bucket = table[jnp.clip(-ahead, 0, self.farthest)]
        else:
            table = jnp.asarray(bucket_table(count // 2, self.farthest))
            bucket = table[jnp.minimum(jnp.abs(ahead), self.farthest)]
            bucket = bucket + jnp.where(ahead > 0, count // 2, 0)
        return self.positions(bucket).transpose(2, 0, 1)[None]
