"""The modules of Whisper's encoder and decoder."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from transformers import PretrainedConfig

from stages.models.decoding.blocks import Attention, FeedForward, Layer
from stages.models.layers import Embedding, LayerNorm, Linear
from stages.models.parameters import Constant, FrozenParam, Normal, abstract_param, geometric
from stages.models.products import product

STRIDE = 2  # frames per position of the encoder


def frequencies(width: int) -> np.ndarray:
    """Radians per position of each pair of sine and cosine: float64 [width / 2]."""
    return geometric(1.0, 1e-4, width // 2)


def sinusoids(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Initializer of the encoder's positions: all sines, then all cosines.

    Frequencies fall geometrically from 1 to 1/10000 (Vaswani et al. 2017, section 3.5, where sines
    and cosines alternate and the last frequency is not quite reached).
    """
    rows, width = shape
    angle = np.arange(rows)[:, None] * frequencies(width)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


class Convolution(nnx.Module):
    """A 1-D convolution of width 3 with a padding of 1.

    The kernel is `[3, inputs, outputs]`: PyTorch's with its axes reversed.
    """

    def __init__(self, inputs: int, outputs: int, *, std: float, stride: int = 1):
        self.kernel = abstract_param((3, inputs, outputs), Normal(std))
        self.bias = abstract_param((outputs,), Constant(0))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[rows, time, inputs]` to `[rows, time / stride, outputs]`.

        It is one matrix product over the concatenated neighbours, as the gradients of XLA's
        convolutions are slow on CPU.
        """
        rows, time, inputs = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
        near = [padded[:, tap : tap + time : self.stride] for tap in range(3)]
        y = jnp.concatenate(near, axis=-1).reshape(-1, 3 * inputs)
        y = product(y, self.kernel[...].reshape(3 * inputs, -1)) + self.bias[...]
        return y.reshape(rows, -1, y.shape[-1])


def _attention(config: PretrainedConfig, heads: int) -> Attention:
    linear = partial(Linear, config.d_model, config.d_model, std=config.init_std)
    return Attention(
        linear(),
        linear(bias=False),
        linear(),
        linear(),
        heads=heads,
        scale=1 / math.sqrt(config.d_model // heads),
        rate=config.attention_dropout,
    )


def _layer(config: PretrainedConfig, heads: int, inner: int, *, cross: bool) -> Layer:
    return Layer(
        _attention(config, heads),
        FeedForward(
            Linear(config.d_model, inner, std=config.init_std),
            Linear(inner, config.d_model, std=config.init_std),
            act=config.activation_function,
            rate=config.activation_dropout,
        ),
        partial(LayerNorm, config.d_model, eps=1e-5),
        rate=config.dropout,
        cross=_attention(config, heads) if cross else None,
    )


class Encoder(nnx.Module):
    """Two convolutions, positions that are not trained, the layers and the final norm."""

    def __init__(self, config: PretrainedConfig):
        width, std = config.d_model, config.init_std
        self.convolutions = nnx.List(
            [
                Convolution(config.num_mel_bins, width, std=std),
                Convolution(width, width, std=std, stride=STRIDE),
            ]
        )
        self.positions = Embedding(
            config.max_source_positions, width, init=sinusoids, kind=FrozenParam
        )
        heads, inner = config.encoder_attention_heads, config.encoder_ffn_dim
        self.layers = nnx.List(
            [_layer(config, heads, inner, cross=False) for _ in range(config.encoder_layers)]
        )
        self.norm = LayerNorm(width, eps=1e-5)


class Decoder(nnx.Module):
    """The token table, learned positions, the layers and the final norm."""

    def __init__(self, config: PretrainedConfig):
        width, std = config.d_model, config.init_std
        self.tokens = Embedding(config.vocab_size, width, init=Normal(std, config.pad_token_id))
        self.positions = Embedding(config.max_target_positions, width, init=Normal(std))
        heads, inner = config.decoder_attention_heads, config.decoder_ffn_dim
        self.layers = nnx.List(
            [_layer(config, heads, inner, cross=True) for _ in range(config.decoder_layers)]
        )
        self.norm = LayerNorm(width, eps=1e-5)
