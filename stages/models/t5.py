"""T5: encoder and decoder with relative positions; version 1.0, and 1.1 as Flan-T5 has it.

Sources: Raffel et al. 2020 (arXiv:1910.10683), Shazeer 2020 (arXiv:2002.05202) for the gated
feed-forward part, Shaw et al. 2018 (arXiv:1803.02155) for relative positions, and the behaviour of
transformers' PyTorch class, which `tests/parity` compares against.
"""

import copy
import math
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models.base import attention_init, run_layer
from stages.models.decoding import init_copying as copying
from stages.models.decoding.blocks import Attention, FeedForward, Layer
from stages.models.decoding.seq2seq import EncoderDecoder, source_bias
from stages.models.dropout import dropout
from stages.models.layers import ACTIVATIONS, Embedding, Linear, Normal, RMSNorm
from stages.models.pretrained import Names

HEADS = ("seq2seq_lm",)


def _attention(config: PretrainedConfig) -> Attention:
    width, inner = config.d_model, config.num_heads * config.d_kv
    factor = config.initializer_factor

    def linear(inputs: int, outputs: int, variance: float) -> Linear:
        return Linear(inputs, outputs, std=factor * variance**-0.5, bias=False)

    # Scores are not scaled: the first queries are made smaller instead.
    return Attention(
        linear(width, inner, width * config.d_kv),
        linear(width, inner, width),
        linear(width, inner, width),
        linear(inner, width, inner),
        heads=config.num_heads,
        scale=1.0,
        rate=config.dropout_rate,
    )


def _layer(config: PretrainedConfig, *, cross: bool) -> Layer:
    factor = config.initializer_factor
    expand = partial(
        Linear, config.d_model, config.d_ff, std=factor * config.d_model**-0.5, bias=False
    )
    act, gated = _activation(config.feed_forward_proj)
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


def _activation(feed_forward_proj: str) -> tuple[str, bool]:
    """Name the activation, and say whether it gates; raise InputError if unknown."""
    # "gated-gelu" has always been the approximation by tanh.
    name = "gated-gelu_new" if feed_forward_proj == "gated-gelu" else feed_forward_proj
    act = name.removeprefix("gated-")
    if act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(
            f"feed_forward_proj {feed_forward_proj!r} is not supported; use one of: {known}, "
            "or one of these after 'gated-'"
        )
    return act, name != act


def buckets(count: int, farthest: int) -> np.ndarray:
    """Return the bucket of each distance 0 to `farthest`, int32 `[farthest + 1]`.

    The first half of `count` buckets hold one distance each, the others ever more, up to
    `farthest` and beyond (Raffel et al. 2020, section 2.1). The logarithm is taken in float32, as
    in PyTorch: elsewhere some distances would fall into the next bucket.
    """
    exact = count // 2
    distance = np.arange(farthest + 1)
    steps = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    steps = steps / np.float32(math.log(farthest / exact)) * np.float32(count - exact)
    far = np.minimum(exact + steps.astype(np.int32), count - 1)
    return np.where(distance < exact, distance, far).astype(np.int32)


class Stack(nnx.Module):
    """The layers of the encoder or of the decoder, their last norm and their positions."""

    def __init__(self, config: PretrainedConfig, layers: int, *, decoder: bool):
        self.layers = nnx.List([_layer(config, cross=decoder) for _ in range(layers)])
        self.norm = RMSNorm(
            config.d_model, eps=config.layer_norm_epsilon, scale=config.initializer_factor
        )
        count = config.relative_attention_num_buckets
        std = config.initializer_factor * config.d_model**-0.5
        self.positions = Embedding(count, config.num_heads, fill=Normal(std))
        self.farthest = config.relative_attention_max_distance
        self.decoder = decoder

    def position_bias(self, queries: jax.Array, keys: jax.Array) -> jax.Array:
        """Look up int32 places `[queries]` and `[keys]` as `[1, heads, queries, keys]`.

        In the encoder half of the buckets are for keys behind the query; the decoder never looks
        there.
        """
        count = self.positions.embedding.shape[0]
        ahead = keys[None, :] - queries[:, None]
        if self.decoder:
            bucket = jnp.asarray(buckets(count, self.farthest))[jnp.clip(-ahead, 0, self.farthest)]
        else:
            table = jnp.asarray(buckets(count // 2, self.farthest))
            bucket = table[jnp.minimum(jnp.abs(ahead), self.farthest)]
            bucket = bucket + jnp.where(ahead > 0, count // 2, 0)
        return self.positions(bucket).transpose(2, 0, 1)[None]


class T5(EncoderDecoder):
    """T5 with its language model head; see `stages.models` for how it is called.

    New weights are normal with `initializer_factor` over the root of the width that they sum
    over, embeddings and an untied head with the factor itself; norms start at the factor. With
    `attention_init: "copying"` they are changed as `decoding/copying.py` describes.
    """

    decoder_limit = sys.maxsize

    def __init__(self, config: PretrainedConfig, head: str):
        config = copy.deepcopy(config)
        # transformers 5 says "tied" of every T5 it reads. In the published models the head is
        # tied where its input is scaled, and there alone; other versions go by this entry.
        config.tie_word_embeddings = config.scale_decoder_outputs
        super().__init__(config, head)
        fill = Normal(config.initializer_factor)
        self.word_embeddings = Embedding(config.vocab_size, config.d_model, fill=fill)
        self.encoder = Stack(config, config.num_layers, decoder=False)
        self.decoder = Stack(config, config.num_decoder_layers, decoder=True)
        if not config.tie_word_embeddings:
            self.head = Linear(
                config.d_model, config.vocab_size, std=config.initializer_factor, bias=False
            )

    def embed(self, ids, places=None, rngs=None):
        """Look up int32 `[rows, time]` as `[rows * time, width]`; positions come as a bias."""
        x = self.word_embeddings(ids.reshape(-1))
        return dropout(x, self.config.dropout_rate, rngs)

    def position_bias(self, queries, keys):
        """The decoder's; see `Stack`."""
        return self.decoder.position_bias(queries, keys)

    def finish(self, x, rngs=None):
        """Normalise the decoder's last sum."""
        return dropout(self.decoder.norm(x), self.config.dropout_rate, rngs)

    def encode(self, input_ids, attention_mask=None, *, rngs=None):
        """Map int32 `[rows, source]` to float `[rows, source, width]`.

        `attention_mask` is nonzero at real tokens; by default all are.
        """
        rows, time = input_ids.shape
        places = jnp.arange(time)
        run = {
            "rows": rows,
            "bias": source_bias(attention_mask),
            "position": self.encoder.position_bias(places, places),
        }
        x = self.embed(input_ids, rngs=rngs)
        for layer in self.encoder.layers:
            x = run_layer(layer, x, rngs, checkpointed=self.checkpointed, **run)
        x = dropout(self.encoder.norm(x), self.config.dropout_rate, rngs)
        return x.reshape(rows, time, -1)

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        *,
        rngs=None,
    ):
        """Return the decoder's output, float `[rows, time, width]`; arguments as `__call__`."""
        encoded = self.encode(input_ids, attention_mask, rngs=rngs)
        return self.decoder_hidden(
            decoder_input_ids, encoded, decoder_attention_mask, attention_mask, rngs=rngs
        )

    def logits(self, hidden):
        """Score the vocabulary from `[..., width]`: float32 `[..., vocab]`."""
        if self.config.tie_word_embeddings:
            hidden = hidden * self.config.d_model**-0.5
            return self.word_embeddings.attend(hidden).astype(jnp.float32)
        return self.head(hidden).astype(jnp.float32)

    def __call__(
        self,
        input_ids,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        *,
        rngs=None,
    ) -> jax.Array:
        """Return float32 `[rows, time, vocab]`: at each decoder token, the logits of the next.

        Args:
            input_ids: int32 `[rows, source]`.
            attention_mask: nonzero at real tokens of the source; by default all are.
            decoder_input_ids: int32 `[rows, time]`, see `decoder_inputs`.
            decoder_attention_mask: nonzero at real tokens of these. Padding on the right needs
                none: nothing looks ahead.
            rngs: with a stream `dropout`; None is evaluation mode.
        """
        return self.logits(
            self.hidden(
                input_ids, attention_mask, decoder_input_ids, decoder_attention_mask, rngs=rngs
            )
        )


def build(config: PretrainedConfig, head: str) -> T5:
    """Make a blank model."""
    return T5(config, head)


def arrange(model: T5) -> None:
    """Change the values of a new model as its configuration's `attention_init` asks."""
    if attention_init(model.config, "copying"):
        copying.arrange(model.word_embeddings, model.encoder, model.decoder, model.head)


# What PyTorch calls the modules here: left ours, right PyTorch's. Layers are numbered alike.
ATTENTION = {"query": "q", "key": "k", "value": "v", "projection": "o"}
TOKENS = "shared.weight"
# PyTorch has the token table at these places too, of which a file may hold any.
REPEATED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# Old checkpoints hold a table of relative positions between decoder and encoder, never used.
BUFFERS = ("EncDecAttention.relative_attention_bias.weight",)


def names(config: PretrainedConfig, head: str) -> Names:
    """Say what PyTorch calls each module of `build(config, head)`."""
    return _join(
        config.num_layers,
        config.num_decoder_layers,
        tied=config.scale_decoder_outputs,
        gated=_activation(config.feed_forward_proj)[1],
    )


def _join(encoder_layers: int, decoder_layers: int, *, tied: bool, gated: bool) -> Names:
    """Join the tables; `tied` is of the head, `gated` of the feed-forward part."""
    modules = {"word_embeddings": "shared", "head": "lm_head"}
    for stack, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        modules[f"{stack}.norm"] = f"{stack}.final_layer_norm"
        first = f"{stack}.block.0.layer.0.SelfAttention"
        modules[f"{stack}.positions"] = f"{first}.relative_attention_bias"
        for number in range(layers):
            parts = _layer_modules(cross=stack == "decoder", gated=gated)
            for ours, theirs in parts.items():
                modules[f"{stack}.layers.{number}.{ours}"] = f"{stack}.block.{number}.{theirs}"
    head = "lm_head.weight"
    # Versions that tie every T5 write no head where it was never trained apart.
    aliases = {TOKENS: (*REPEATED, head)} if tied else {TOKENS: REPEATED, head: (TOKENS,)}
    repeated = (*REPEATED, head) if tied else REPEATED
    return Names(
        modules,
        prefix="",
        aliases=aliases,
        tied=dict.fromkeys(repeated, TOKENS),
        buffers=BUFFERS,
    )


def _layer_modules(*, cross: bool, gated: bool) -> dict[str, str]:
    parts = {"attention_norm": "layer.0.layer_norm"}
    parts |= {f"attention.{k}": f"layer.0.SelfAttention.{v}" for k, v in ATTENTION.items()}
    if cross:
        parts |= {"cross_norm": "layer.1.layer_norm"}
        parts |= {f"cross.{k}": f"layer.1.EncDecAttention.{v}" for k, v in ATTENTION.items()}
    last = "layer.2" if cross else "layer.1"
    dense = f"{last}.DenseReluDense"
    parts |= {"output_norm": f"{last}.layer_norm", "feed_forward.contract": f"{dense}.wo"}
    if gated:
        return parts | {
            "feed_forward.gate": f"{dense}.wi_0",
            "feed_forward.expand": f"{dense}.wi_1",
        }
    return parts | {"feed_forward.expand": f"{dense}.wi"}


def architecture(config: PretrainedConfig, head: str) -> str:
    """Name the PyTorch class that holds the same weights."""
    return "T5ForConditionalGeneration"


def max_positions(config: PretrainedConfig) -> int:
    """Count the tokens a sequence may have: relative positions have no end."""
    return sys.maxsize


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that asks for more than this model has."""
    if not config.is_encoder_decoder:
        raise InputError(
            "is_encoder_decoder is false, but t5 is supported with both its parts; set it to true"
        )
    _activation(config.feed_forward_proj)
    for name in ("decoder_start_token_id", "pad_token_id"):
        token = getattr(config, name, None)
        if token is None or not 0 <= token < config.vocab_size:
            raise InputError(
                f"{name} is {token} with vocab_size {config.vocab_size}; "
                "give that token's id in the vocabulary"
            )
    if attention_init(config, "copying"):
        _check_copying(config)
    count, farthest = (
        config.relative_attention_num_buckets,
        config.relative_attention_max_distance,
    )
    if count < 4 or count % 2 or farthest <= count // 2:
        raise InputError(
            f"relative_attention_num_buckets {count} with relative_attention_max_distance "
            f"{farthest} is not supported; use an even number from 4 on, and a distance above "
            "half of it"
        )


def _check_copying(config: PretrainedConfig) -> None:
    """Raise InputError where `copying.py` finds no room for what it arranges."""
    if config.scale_decoder_outputs:
        raise InputError(
            "attention_init 'copying' is for a head of its own; set tie_word_embeddings to false"
        )
    if config.initializer_factor != 1:
        raise InputError(
            f"attention_init 'copying' starts from initializer_factor 1, "
            f"not {config.initializer_factor}; leave that out"
        )
    if config.num_heads < copying.LEAST_HEADS or 4 * config.d_kv > config.d_model:
        raise InputError(
            f"attention_init 'copying' needs {copying.LEAST_HEADS} heads or more, of a quarter of "
            f"d_model at most; num_heads is {config.num_heads}, d_kv {config.d_kv}, d_model "
            f"{config.d_model}"
        )
