"""Whisper: speech to text, of any size, English alone or multilingual.

Sources: Radford et al. 2022 (arXiv:2212.04356), and the behaviour of transformers' PyTorch class,
which `tests/parity` compares against.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models.base import attention_init, run_layer
from stages.models.decoding import init_monotonic as monotonic
from stages.models.decoding.blocks import Attention, FeedForward, Layer
from stages.models.decoding.seq2seq import EncoderDecoder
from stages.models.dropout import dropout
from stages.models.layers import (
    Constant,
    Embedding,
    Fixed,
    LayerNorm,
    Linear,
    Normal,
    activation,
    parameter,
)
from stages.models.pretrained import Names

HEADS = ("speech_seq2seq",)
STRIDE = 2  # frames a position of the encoder


def frequencies(width: int) -> np.ndarray:
    """Radians a position of each pair of sine and cosine: float64 [width / 2]."""
    return np.geomspace(1, 1e-4, width // 2)


def waves(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """First values of the encoder's positions: all sines, then all cosines.

    Frequencies fall from 1 to 1/10000 in equal ratios (Vaswani et al. 2017, section 3.5, where
    sine and cosine stand side by side and the last frequency is not quite reached).
    """
    rows, width = shape
    angle = np.arange(rows)[:, None] * frequencies(width)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


class Convolution(nnx.Module):
    """Three neighbours at a time, with a zero at either end.

    The kernel is `[3, inputs, outputs]`: PyTorch's, its axes reversed.
    """

    def __init__(self, inputs: int, outputs: int, *, std: float, stride: int = 1):
        self.kernel = parameter((3, inputs, outputs), Normal(std))
        self.bias = parameter((outputs,), Constant(0))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[rows, time, inputs]` to `[rows, time / stride, outputs]`.

        One matrix product over the neighbours side by side: XLA on CPU has slow gradients of
        convolutions.
        """
        rows, time, inputs = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
        near = [padded[:, place : place + time : self.stride] for place in range(3)]
        y = jnp.concatenate(near, axis=-1).reshape(-1, 3 * inputs)
        y = y @ self.kernel[...].reshape(3 * inputs, -1) + self.bias[...]
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
    """Two convolutions, positions that are not trained, layers and a last norm."""

    def __init__(self, config: PretrainedConfig):
        width, std = config.d_model, config.init_std
        self.convolutions = nnx.List(
            [
                Convolution(config.num_mel_bins, width, std=std),
                Convolution(width, width, std=std, stride=STRIDE),
            ]
        )
        self.positions = Embedding(config.max_source_positions, width, fill=waves, kind=Fixed)
        heads, inner = config.encoder_attention_heads, config.encoder_ffn_dim
        self.layers = nnx.List(
            [_layer(config, heads, inner, cross=False) for _ in range(config.encoder_layers)]
        )
        self.norm = LayerNorm(width, eps=1e-5)


class Decoder(nnx.Module):
    """Tokens, their learned positions, layers and a last norm."""

    def __init__(self, config: PretrainedConfig):
        width, std = config.d_model, config.init_std
        self.tokens = Embedding(config.vocab_size, width, fill=Normal(std, config.pad_token_id))
        self.positions = Embedding(config.max_target_positions, width, fill=Normal(std))
        heads, inner = config.decoder_attention_heads, config.decoder_ffn_dim
        self.layers = nnx.List(
            [_layer(config, heads, inner, cross=True) for _ in range(config.decoder_layers)]
        )
        self.norm = LayerNorm(width, eps=1e-5)


class Whisper(EncoderDecoder):
    """Whisper with its language model head; see `stages.models` for how it is called.

    New weights are normal with `init_std`; the encoder's positions are `waves` and stay so.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        super().__init__(config, head)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.decoder_limit = config.max_target_positions
        if not config.tie_word_embeddings:
            self.head = Linear(config.d_model, config.vocab_size, std=config.init_std, bias=False)

    def embed(self, ids, places, rngs=None):
        """Look up int32 `[rows, time]` and the tokens' positions as `[rows * time, width]`."""
        x = self.decoder.tokens(ids) + self.decoder.positions(places)
        return dropout(x.reshape(-1, x.shape[-1]), self.config.dropout, rngs)

    def position_bias(self, queries, keys):
        """None: positions are added to the tokens."""
        return None

    def finish(self, x, rngs=None):
        """Normalise the decoder's last sum."""
        return self.decoder.norm(x)

    def encode(self, input_features, *, rngs=None):
        """Map log-mel features, float `[rows, mels, frames]`, to float `[rows, source, width]`.

        Whisper always hears the same length, `frames = 2 * max_source_positions`: 30 seconds, if
        the published sizes. Raises ValueError for any other.
        """
        config = self.config
        wanted = (config.num_mel_bins, STRIDE * config.max_source_positions)
        if input_features.shape[1:] != wanted:
            raise ValueError(
                f"input_features are {input_features.shape[1:]} of mels and frames a row, but the "
                f"model hears {wanted}; pad with silence or cut"
            )
        x = input_features.transpose(0, 2, 1).astype(self.decoder.tokens.embedding.dtype)
        for convolution in self.encoder.convolutions:
            x = activation("gelu")(convolution(x))
        x = x + jax.lax.stop_gradient(self.encoder.positions.embedding[...])
        rows, time, width = x.shape
        x = dropout(x.reshape(-1, width), config.dropout, rngs)
        for layer in self.encoder.layers:
            x = run_layer(layer, x, rngs, checkpointed=self.checkpointed, rows=rows, bias=None)
        return self.encoder.norm(x).reshape(rows, time, width)

    def hidden(self, input_features, decoder_input_ids, *, rngs=None):
        """Return the decoder's output, float `[rows, time, width]`; arguments as `__call__`."""
        encoded = self.encode(input_features, rngs=rngs)
        return self.decoder_hidden(decoder_input_ids, encoded, rngs=rngs)

    def logits(self, hidden):
        """Score the vocabulary from `[..., width]`: float32 `[..., vocab]`."""
        head = self.decoder.tokens.attend if self.config.tie_word_embeddings else self.head
        return head(hidden).astype(jnp.float32)

    def __call__(self, input_features, decoder_input_ids, *, rngs=None) -> jax.Array:
        """Return float32 `[rows, time, vocab]`: at each decoder token, the logits of the next.

        Args:
            input_features: float `[rows, mels, frames]`, see `encode`.
            decoder_input_ids: int32 `[rows, time]`, see `decoder_inputs`. Padding stands on the
                right and needs no mask: nothing looks ahead.
            rngs: with a stream `dropout`; None is evaluation mode.
        """
        return self.logits(self.hidden(input_features, decoder_input_ids, rngs=rngs))


def build(config: PretrainedConfig, head: str) -> Whisper:
    """Make a blank model."""
    return Whisper(config, head)


# What PyTorch calls the modules here: left ours, right PyTorch's. Layers are numbered alike.
ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "projection": "out_proj"}
LAYER = {
    "attention_norm": "self_attn_layer_norm",
    **{f"attention.{ours}": f"self_attn.{theirs}" for ours, theirs in ATTENTION.items()},
    "output_norm": "final_layer_norm",
    "feed_forward.expand": "fc1",
    "feed_forward.contract": "fc2",
}
CROSS = {
    "cross_norm": "encoder_attn_layer_norm",
    **{f"cross.{ours}": f"encoder_attn.{theirs}" for ours, theirs in ATTENTION.items()},
}
ENDS = {
    "encoder.convolutions.0": "encoder.conv1",
    "encoder.convolutions.1": "encoder.conv2",
    "encoder.positions": "encoder.embed_positions",
    "encoder.norm": "encoder.layer_norm",
    "decoder.tokens": "decoder.embed_tokens",
    "decoder.positions": "decoder.embed_positions",
    "decoder.norm": "decoder.layer_norm",
}


def names(config: PretrainedConfig, head: str) -> Names:
    """Say what PyTorch calls each module of `build(config, head)`."""
    return _join(config.encoder_layers, config.decoder_layers, tied=config.tie_word_embeddings)


def _join(encoder_layers: int, decoder_layers: int, *, tied: bool) -> Names:
    """Join the tables; `tied` says whether the head scores with the token table."""
    prefix = "model."
    modules = {ours: prefix + theirs for ours, theirs in ENDS.items()} | {"head": "proj_out"}
    for stack, layers, table in (
        ("encoder", encoder_layers, LAYER),
        ("decoder", decoder_layers, LAYER | CROSS),
    ):
        for number in range(layers):
            for ours, theirs in table.items():
                name = f"{stack}.layers.{number}"
                modules[f"{name}.{ours}"] = f"{prefix}{name}.{theirs}"
    head, tokens = "proj_out.weight", f"{modules['decoder.tokens']}.weight"
    return Names(
        modules,
        prefix,
        aliases={tokens: (head,)} if tied else {},
        tied={head: tokens} if tied else {},
    )


def arrange(model: Whisper) -> None:
    """Change the values of a new model as its configuration's `attention_init` asks."""
    config = model.config
    if attention_init(config, "monotonic"):
        monotonic.arrange(
            frequencies(config.d_model),
            list(model.encoder.layers),
            list(model.decoder.layers),
            model.decoder.positions.embedding,
            places=config.max_source_positions,
        )


def architecture(config: PretrainedConfig, head: str) -> str:
    """Name the PyTorch class that holds the same weights."""
    return "WhisperForConditionalGeneration"


def max_positions(config: PretrainedConfig) -> int:
    """Count the tokens that the decoder takes."""
    return config.max_target_positions


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that asks for more than this model has."""
    if not config.is_encoder_decoder:
        raise InputError(
            "is_encoder_decoder is false, but whisper is supported with both its parts; "
            "set it to true"
        )
    for name in ("encoder_layerdrop", "decoder_layerdrop"):
        if getattr(config, name):
            raise InputError(f"{name} is set, but is not supported; set it to 0 or false")
    attention_init(config, "monotonic")
    activation(config.activation_function)
    for name in ("decoder_start_token_id", "pad_token_id"):
        token = getattr(config, name)
        if token is None or not 0 <= token < config.vocab_size:
            raise InputError(
                f"{name} is {token} with vocab_size {config.vocab_size}; "
                "give that token's id in the vocabulary"
            )
    if config.d_model % 2:
        raise InputError(
            f"d_model is {config.d_model}, but positions are half sines and half cosines; "
            "use an even number"
        )
    for heads in (config.encoder_attention_heads, config.decoder_attention_heads):
        if config.d_model % heads:
            raise InputError(
                f"d_model {config.d_model} is not a multiple of {heads} attention heads; "
                "change one of them"
            )
