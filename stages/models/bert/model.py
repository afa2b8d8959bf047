"""BERT, RoBERTa, XLM-R, CamemBERT and DistilBERT: one encoder, three sets of names.

The families differ in where a few numbers stand in their configuration, in how positions are
counted, in where dropout falls and in their heads. `encoding/` holds those differences, and says
what PyTorch calls each module. Sources: Devlin et al. 2018 (arXiv:1810.04805), Liu et al. 2019
(1907.11692), Conneau et al. 2019 (1911.02116), Martin et al. 2019 (1911.03894), Sanh et al. 2019
(1910.01108), and the behaviour of transformers' PyTorch classes, which `tests/parity` compares
against.
"""

import copy
import math

import jax
import jax.numpy as jnp
from flax import nnx
from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models.base import Model, attention_init, run_layer
from stages.models.bert import init_neighbours as neighbours
from stages.models.bert import torch_names
from stages.models.bert.dims import Shape
from stages.models.bert.heads import make_head
from stages.models.dropout import dropout
from stages.models.layers import (
    Embedding,
    LayerNorm,
    Linear,
    Normal,
    Sinusoid,
    activation,
    attention,
    mask_bias,
    merge_heads,
    split_heads,
)
from stages.models.pretrained import Names

HEADS = tuple(torch_names.HEADS)


class Layer(nnx.Module):
    """One transformer layer, normalised after each residual sum."""

    def __init__(self, shape: Shape, std: float):
        width = shape.width
        self.query = Linear(width, width, std=std)
        self.key = Linear(width, width, std=std)
        self.value = Linear(width, width, std=std)
        self.projection = Linear(width, width, std=std)
        self.attention_norm = LayerNorm(width, eps=shape.eps)
        self.expand = Linear(width, shape.inner, std=std)
        self.contract = Linear(shape.inner, width, std=std)
        self.output_norm = LayerNorm(width, eps=shape.eps)

    def __call__(
        self, x, bias, shape: Shape, *, first_only: bool = False, rngs: nnx.Rngs | None
    ) -> jax.Array:
        """Map `[batch * time, width]` to the same, or to `[batch, width]` of the first tokens.

        `bias` is `[batch, 1, 1, time]`.
        """
        batch = bias.shape[0]
        asking = x.reshape(batch, -1, shape.width)[:, 0] if first_only else x
        attended = attention(
            split_heads(self.query(asking), batch, shape.heads),
            split_heads(self.key(x), batch, shape.heads),
            split_heads(self.value(x), batch, shape.heads),
            bias,
            scale=1 / math.sqrt(shape.width // shape.heads),
            rate=shape.attention_dropout,
            rngs=rngs,
        )
        y = self.projection(merge_heads(attended))
        x = self.attention_norm(asking + dropout(y, shape.projection_dropout, rngs))
        y = self.contract(activation(shape.activation)(self.expand(x)))
        return self.output_norm(x + dropout(y, shape.dropout, rngs))


class Encoder(Model):
    """An encoder with one head; see `stages.models` for how it is called."""

    def __init__(self, config: PretrainedConfig, head: str):
        if head == "question_answering" and config.num_labels != 2:
            # Start and end are two labels to PyTorch, which refuses any other number.
            config = copy.deepcopy(config)
            config.num_labels = 2
        super().__init__(config, head)
        shape = Shape.of(config)
        std = config.initializer_range
        pad = config.pad_token_id
        self.word_embeddings = Embedding(config.vocab_size, shape.width, fill=Normal(std, pad))
        self.position_embeddings = Embedding(
            config.max_position_embeddings, shape.width, fill=_position_fill(config, shape)
        )
        if shape.segments:
            self.token_type_embeddings = Embedding(shape.segments, shape.width, fill=Normal(std))
        self.embedding_norm = LayerNorm(shape.width, eps=shape.eps)
        self.layers = nnx.List([Layer(shape, std) for _ in range(shape.layers)])
        self.head = make_head(shape, config, head)

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        *,
        first_only: bool = False,
        rngs=None,
    ):
        """Encode int32 `[batch, time]` as float `[batch, time, width]`, the last layer's output.

        `attention_mask` is nonzero at real tokens (default: all). `token_type_ids` are left out
        of account where the model has at most one segment. With `first_only` the last layer
        computes the first token alone, `[batch, 1, width]`: all that a classifier reads.
        """
        shape = Shape.of(self.config)
        batch, time = input_ids.shape
        if time > max_positions(self.config):
            raise ValueError(f"{time} tokens, but the model has {max_positions(self.config)}")
        if attention_mask is None:
            attention_mask = jnp.ones_like(input_ids)
        x = self.word_embeddings(input_ids)
        if shape.segments:
            # One row only: RoBERTa, whose tokenizers may still hand over segments.
            if token_type_ids is None or shape.segments == 1:
                token_type_ids = jnp.zeros((1, 1), jnp.int32)
            x = x + self.token_type_embeddings(token_type_ids)
        x = x + self.position_embeddings(_positions(input_ids, shape))
        x = x.reshape(batch * time, shape.width)
        x = dropout(self.embedding_norm(x), shape.dropout, rngs)
        bias = mask_bias(attention_mask)[:, None, None, :]
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            first = first_only and number == last
            x = run_layer(
                layer, x, rngs, checkpointed=self.checkpointed,
                bias=bias, shape=shape, first_only=first,
            )  # fmt: skip
        return x.reshape(batch, -1, shape.width)

    def logits(self, hidden, *, rngs=None):
        """Apply the head to `[..., width]`: `[..., vocabulary, labels or 2]`, in float32."""
        return self.head(hidden, self.word_embeddings, rngs=rngs).astype(jnp.float32)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None, *, rngs=None):
        """Return the logits of a batch of int32 `[batch, time]`, in float32.

        masked_lm `[batch, time, vocab]`, sequence_classification `[batch, num_labels]`,
        token_classification `[batch, time, num_labels]`, question_answering the pair start, end,
        each `[batch, time]`. `rngs` with a stream `dropout` turns dropout on.
        """
        classify = self.head_name == "sequence_classification"
        x = self.hidden(input_ids, attention_mask, token_type_ids, first_only=classify, rngs=rngs)
        if classify:
            return self.logits(x[:, 0], rngs=rngs)
        logits = self.logits(x, rngs=rngs)
        if self.head_name == "question_answering":
            return logits[..., 0], logits[..., 1]
        return logits


def _position_fill(config: PretrainedConfig, shape: Shape) -> Normal | Sinusoid:
    std = config.initializer_range
    zero = shape.first_position - 1 if shape.first_position else None
    if getattr(config, "position_embedding_init", None) == "sinusoidal":
        return Sinusoid(std * math.sqrt(2), zero)
    if getattr(config, "sinusoidal_pos_embds", False):
        return Sinusoid(1.0)
    return Normal(std, zero)


def _positions(input_ids: jax.Array, shape: Shape) -> jax.Array:
    if not shape.first_position:
        return jnp.arange(input_ids.shape[1])[None]
    # Padding does not count, and stands at the padding row itself.
    real = input_ids != shape.first_position - 1
    return jnp.where(real, jnp.cumsum(real, axis=1), 0) + shape.first_position - 1


def build(config: PretrainedConfig, head: str) -> Encoder:
    """Make a blank encoder."""
    return Encoder(config, head)


def names(config: PretrainedConfig, head: str) -> Names:
    """Say what PyTorch calls each module of `build(config, head)`."""
    shape = Shape.of(config)
    return torch_names.names(shape.family, shape.layers, head, tied=config.tie_word_embeddings)


def arrange(model: Encoder) -> None:
    """Change the values of a new encoder as its configuration's `attention_init` asks."""
    if attention_init(model.config, "neighbours") is None:
        return
    shape = Shape.of(model.config)
    neighbours.arrange(
        model.position_embeddings,
        model.word_embeddings,
        getattr(model, "token_type_embeddings", None),
        list(model.layers),
        heads=shape.heads,
        std=model.config.initializer_range,
        first_position=shape.first_position,
    )


def architecture(config: PretrainedConfig, head: str) -> str:
    """Name the PyTorch class that holds the same weights."""
    return torch_names.CLASSES[config.model_type] + torch_names.HEADS[head]


def max_positions(config: PretrainedConfig) -> int:
    """Count the tokens a sequence may have."""
    return config.max_position_embeddings - Shape.of(config).first_position


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that asks for more than this encoder has."""
    kind = config.model_type
    position = getattr(config, "position_embedding_type", None) or "absolute"
    if position != "absolute":
        raise InputError(
            f"position_embedding_type {position!r} is not supported for {kind}; "
            "use a model with absolute positions"
        )
    start = getattr(config, "position_embedding_init", None)
    if start not in (None, "normal", "sinusoidal"):
        raise InputError(
            f"position_embedding_init {start!r} is unknown; use 'normal' or 'sinusoidal'"
        )
    attention_init(config, "neighbours")
    if getattr(config, "is_decoder", False):
        raise InputError(f"is_decoder is set, but {kind} is supported as an encoder; unset it")
    pad = config.pad_token_id
    if (pad is None and kind not in ("bert", "distilbert")) or (pad or 0) >= config.vocab_size:
        raise InputError(
            f"pad_token_id is {pad} with vocab_size {config.vocab_size}; "
            "give the padding token's id in the vocabulary"
        )
    shape = Shape.of(config)
    activation(shape.activation)
    if shape.width % shape.heads:
        raise InputError(
            f"width {shape.width} is not a multiple of {shape.heads} attention heads; "
            "change one of them"
        )
