"""GPT-2, of any size: a decoder without an encoder.

Sources: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", and the
behaviour of transformers' PyTorch class, which `tests/parity` compares against.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from pydantic import Field
from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models.base import GenerativeModel, attention_init, run_layer
from stages.models.decoding.blocks import Attention, FeedForward, Layer
from stages.models.decoding.cache import Cache, CacheWriter, causal_bias, empty_cache, positions
from stages.models.dropout import dropout
from stages.models.entries import Entries, Layers, Rate, Scale, Size, check_entries
from stages.models.layers import Embedding, LayerNorm, Linear, activation, split_heads
from stages.models.parameters import Normal
from stages.models.pretrained.names import Names

HEADS = ("causal_lm",)


class FusedAttention(Attention):
    """Attention whose queries, keys and values come from one product."""

    def __init__(
        self,
        query_key_value: Linear,
        projection: Linear,
        *,
        heads: int,
        scale: float,
        rate: float,
        upcast: bool,
    ):
        self.query_key_value, self.projection = query_key_value, projection
        self.heads, self.scale, self.rate = heads, scale, rate
        self.upcast = upcast

    def project(self, x, rows):
        """Return queries, keys and values of `[rows * time, width]`."""
        parts = jnp.split(self.query_key_value(x), 3, axis=-1)
        return tuple(split_heads(part, rows, self.heads) for part in parts)

    def attend(self, queries, keys, values, bias, position=None, *, rngs):
        """Attend and project, with scores in float32 where the configuration asks for it."""
        if self.upcast:
            queries, keys = queries.astype(jnp.float32), keys.astype(jnp.float32)
        return super().attend(queries, keys, values, bias, position, rngs=rngs)


def _layer(config: PretrainedConfig, number: int) -> Layer:
    width, std = config.n_embd, config.initializer_range
    inner = 4 * width if config.n_inner is None else config.n_inner
    # Each layer adds twice to the residual stream (Radford et al. 2019, section 2.3).
    residual_std = std / math.sqrt(2 * config.n_layer)
    scale = 1 / math.sqrt(width // config.n_head) if config.scale_attn_weights else 1.0
    if config.scale_attn_by_inverse_layer_idx:
        scale /= number + 1
    return Layer(
        FusedAttention(
            Linear(width, 3 * width, std=std),
            Linear(width, width, std=residual_std),
            heads=config.n_head,
            scale=scale,
            rate=config.attn_pdrop,
            upcast=config.reorder_and_upcast_attn,
        ),
        FeedForward(
            Linear(width, inner, std=std),
            Linear(inner, width, std=residual_std),
            act=config.activation_function,
        ),
        partial(LayerNorm, width, eps=config.layer_norm_epsilon),
        rate=config.resid_pdrop,
    )


class GPT2(GenerativeModel):
    """GPT-2 with its language model head; see `stages.models` for how it is called.

    New weights are normal with `initializer_range`, smaller where they add to the residual stream.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        super().__init__(config, head)
        width, init = config.n_embd, Normal(config.initializer_range)
        self.word_embeddings = Embedding(config.vocab_size, width, init=init)
        self.position_embeddings = Embedding(config.n_positions, width, init=init)
        self.layers = nnx.List([_layer(config, number) for number in range(config.n_layer)])
        self.norm = LayerNorm(width, eps=config.layer_norm_epsilon)
        if not config.tie_word_embeddings:
            self.head = Linear(width, config.vocab_size, std=config.initializer_range, bias=False)

    def _embed(self, input_ids, position_ids, rngs=None):
        x = self.word_embeddings(input_ids) + self.position_embeddings(position_ids)
        return dropout(x.reshape(-1, x.shape[-1]), self.config.embd_pdrop, rngs)

    def hidden(self, input_ids, attention_mask=None, *, rngs=None):
        """Map int32 `[rows, time]` to float `[rows, time, width]`, normalised.

        `attention_mask` is nonzero at real tokens (default: all). Positions count only these, so
        that padding may be on either side.
        """
        rows, time = input_ids.shape
        limit = max_positions(self.config)
        if time > limit:
            raise ValueError(f"{time} tokens, but the model has {limit}")
        if attention_mask is None:
            position_ids = jnp.arange(time)[None]
        else:
            position_ids = positions(attention_mask)
        x = self._embed(input_ids, position_ids, rngs)
        bias = causal_bias(time, attention_mask)
        for layer in self.layers:
            x = run_layer(layer, x, rngs, remat=self.remat, rows=rows, bias=bias)
        return self.norm(x).reshape(rows, time, -1)

    def logits(self, hidden):
        """Score the vocabulary from `[..., width]`: float32 `[..., vocab]`."""
        head = self.word_embeddings.attend if self.config.tie_word_embeddings else self.head
        return head(hidden).astype(jnp.float32)

    def __call__(self, input_ids, attention_mask=None, *, rngs=None) -> jax.Array:
        """Return float32 `[rows, time, vocab]`: at each token, the logits of the next one."""
        return self.logits(self.hidden(input_ids, attention_mask, rngs=rngs))

    def start_cache(self, rows: int, length: int) -> Cache:
        """Make a cache for `length` tokens of each row; see `cache.py`."""
        config = self.config
        return empty_cache(
            config.n_layer,
            rows,
            config.n_head,
            length,
            config.n_embd // config.n_head,
            self.word_embeddings.embedding.dtype,
            limit=max_positions(config),
        )

    def decode(self, ids, cache: Cache, mask=None) -> tuple[jax.Array, Cache]:
        """Return float32 `[rows, new, vocab]` and the cache with the new tokens in it."""
        rows, new = ids.shape
        writer = CacheWriter(cache, ids, mask)
        x = self._embed(ids, writer.positions)
        bias = writer.bias()
        for layer in self.layers:
            x = layer(x, rows, bias, update_cache=writer)
        return self.logits(self.norm(x).reshape(rows, new, -1)), writer.result()


def build(config: PretrainedConfig, head: str) -> GPT2:
    """Make an abstract model."""
    return GPT2(config, head)


# Names of the modules: left ours, right PyTorch's. Layers have the same numbers in both.
LAYER = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "output_norm": "ln_2",
    "feed_forward.expand": "mlp.c_fc",
    "feed_forward.contract": "mlp.c_proj",
}
# Conv1D in PyTorch, which stores weights [inputs, outputs] as we do.
CONV1D = ("query_key_value", "projection", "expand", "contract")
# The causal mask, which old folders hold as if it were a weight.
BUFFERS = (".attn.bias", ".attn.masked_bias")


def names(config: PretrainedConfig, head: str) -> Names:
    """The PyTorch names of the modules of `build(config, head)`."""
    return _combine(config.n_layer, tied=config.tie_word_embeddings)


def _combine(layers: int, *, tied: bool) -> Names:
    """Combine the tables; `tied` says whether the head shares the token table."""
    prefix, head, tokens = "transformer.", "lm_head", "transformer.wte"
    modules = {
        "word_embeddings": tokens,
        "position_embeddings": f"{prefix}wpe",
        "norm": f"{prefix}ln_f",
        "head": head,
    }
    for number in range(layers):
        for ours, theirs in LAYER.items():
            modules[f"layers.{number}.{ours}"] = f"{prefix}h.{number}.{theirs}"
    head, tokens = f"{head}.weight", f"{tokens}.weight"
    return Names(
        modules,
        prefix,
        aliases={tokens: (head,)} if tied else {},
        tied={head: tokens} if tied else {},
        not_transposed=CONV1D,
        buffers=BUFFERS,
    )


def architecture(config: PretrainedConfig, head: str) -> str:
    """The PyTorch class that holds the same weights."""
    return "GPT2LMHeadModel"


def max_positions(config: PretrainedConfig) -> int:
    """The number of tokens that a sequence may have."""
    return config.n_positions


class Gpt2Entries(Entries):
    """What is read of a configuration."""

    vocab_size: Size
    n_embd: Size
    n_layer: Layers
    n_head: Size
    n_positions: Size
    n_inner: int | None = Field(None, ge=1, le=2**24)
    resid_pdrop: Rate
    embd_pdrop: Rate
    attn_pdrop: Rate
    initializer_range: Scale
    layer_norm_epsilon: Scale


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that this model does not support."""
    check_entries(Gpt2Entries, config)
    if config.add_cross_attention:
        raise InputError(
            "add_cross_attention is set, but gpt2 is supported as a decoder alone; unset it"
        )
    attention_init(config)
    activation(config.activation_function)
    if config.n_embd % config.n_head:
        raise InputError(
            f"n_embd {config.n_embd} is not a multiple of {config.n_head} attention heads; "
            "change one of them"
        )
