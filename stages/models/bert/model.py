"""BERT, RoBERTa, XLM-R, CamemBERT and DistilBERT: one encoder, three sets of names.

The families differ in the names of a few configuration entries, in how positions are counted, in
where dropout is applied and in their heads (`dims.py`, `heads.py`, `torch_names.py`).

Sources: Devlin et al. 2018 (arXiv:1810.04805), Liu et al. 2019 (1907.11692), Conneau et al. 2019
(1911.02116), Martin et al. 2019 (1911.03894), Sanh et al. 2019 (1910.01108), and the behaviour of
transformers' PyTorch classes, which `tests/parity` compares against.
"""

import copy
import math

import jax
import jax.numpy as jnp
from flax import nnx
from pydantic import Field
from transformers import PretrainedConfig

from stages.core.errors import InputError, quoted
from stages.models.base import Model, attention_init, run_layer
from stages.models.bert import init_neighbours, torch_names
from stages.models.bert.dims import Dims
from stages.models.bert.heads import make_head
from stages.models.dropout import dropout
from stages.models.entries import Entries, Layers, Rate, Scale, Size, check_entries
from stages.models.layers import (
    Embedding,
    LayerNorm,
    Linear,
    activation,
    attention,
    mask_bias,
    merge_heads,
    pack_bias,
    pack_positions,
    split_heads,
)
from stages.models.parameters import Normal, Sinusoid
from stages.models.pretrained.names import Names

HEADS = tuple(torch_names.HEADS)


class Layer(nnx.Module):
    """One transformer layer, normalised after each residual sum."""

    def __init__(self, dims: Dims, std: float):
        width = dims.width
        self.query = Linear(width, width, std=std)
        self.key = Linear(width, width, std=std)
        self.value = Linear(width, width, std=std)
        self.projection = Linear(width, width, std=std)
        self.attention_norm = LayerNorm(width, eps=dims.eps)
        self.expand = Linear(width, dims.inner, std=std)
        self.contract = Linear(dims.inner, width, std=std)
        self.output_norm = LayerNorm(width, eps=dims.eps)

    def __call__(self, x, bias, dims: Dims, *, positions=None, rngs: nnx.Rngs | None) -> jax.Array:
        """Map `[batch * time, width]` to the same, or to `[batch * places, width]` of `positions`.

        `bias` is `[batch, 1, 1, time]`, or `[batch, 1, time, time]` of packed sequences;
        `positions` is int32 `[batch, places]`.
        """
        batch = bias.shape[0]
        queried = x
        if positions is not None:
            if bias.shape[2] > 1:
                bias = jnp.take_along_axis(bias, positions[:, None, :, None], axis=2)
            rows = x.reshape(batch, -1, dims.width)
            queried = jnp.take_along_axis(rows, positions[..., None], axis=1)
            queried = queried.reshape(-1, dims.width)
        attended = attention(
            split_heads(self.query(queried), batch, dims.heads),
            split_heads(self.key(x), batch, dims.heads),
            split_heads(self.value(x), batch, dims.heads),
            bias,
            scale=1 / math.sqrt(dims.width // dims.heads),
            rate=dims.attention_dropout,
            rngs=rngs,
        )
        y = self.projection(merge_heads(attended))
        x = self.attention_norm(queried + dropout(y, dims.projection_dropout, rngs))
        y = self.contract(activation(dims.activation)(self.expand(x)))
        return self.output_norm(x + dropout(y, dims.dropout, rngs))


class Encoder(Model):
    """An encoder with one head; see `stages.models` for how it is called."""

    def __init__(self, config: PretrainedConfig, head: str):
        if head == "question_answering" and config.num_labels != 2:
            # Start and end are two labels to PyTorch, which refuses any other number.
            config = copy.deepcopy(config)
            config.num_labels = 2
        super().__init__(config, head)
        dims = Dims.from_config(config)
        std = config.initializer_range
        pad = config.pad_token_id
        self.word_embeddings = Embedding(config.vocab_size, dims.width, init=Normal(std, pad))
        self.position_embeddings = Embedding(
            config.max_position_embeddings, dims.width, init=_position_init(config, dims)
        )
        if dims.segments:
            self.token_type_embeddings = Embedding(dims.segments, dims.width, init=Normal(std))
        self.embedding_norm = LayerNorm(dims.width, eps=dims.eps)
        self.layers = nnx.List([Layer(dims, std) for _ in range(dims.layers)])
        self.head = make_head(dims, config, head)

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        *,
        sequence_ids=None,
        positions=None,
        rngs=None,
    ):
        """Encode int32 `[batch, time]` as float `[batch, time, width]`, the last layer's output.

        `attention_mask` is nonzero at real tokens (default: all). `token_type_ids` are ignored if
        the model has at most one segment. With `positions`, int32 `[batch, places]`, the last layer
        computes only the tokens there, `[batch, places, width]`: the first one is all that a
        classifier reads, the masked ones all that masked language modelling scores.

        Several sequences may be packed into a row: `sequence_ids`, int32 `[batch, time]`, counts
        them from 1 and is 0 at padding, as the mask is, which is then not read. Each sequence, not
        the row, must have at most `max_positions` tokens.
        """
        dims = Dims.from_config(self.config)
        batch, time = input_ids.shape
        if sequence_ids is None and time > max_positions(self.config):
            raise ValueError(f"{time} tokens, but the model has {max_positions(self.config)}")
        if attention_mask is None:
            attention_mask = jnp.ones_like(input_ids)
        x = self.word_embeddings(input_ids)
        if dims.segments:
            # RoBERTa has one row, but its tokenizers may still return segments.
            if token_type_ids is None or dims.segments == 1:
                token_type_ids = jnp.zeros((1, 1), jnp.int32)
            x = x + self.token_type_embeddings(token_type_ids)
        x = x + self.position_embeddings(_positions(input_ids, sequence_ids, dims))
        x = x.reshape(batch * time, dims.width)
        x = dropout(self.embedding_norm(x), dims.dropout, rngs)
        if sequence_ids is None:
            bias = mask_bias(attention_mask)[:, None, None, :]
        else:
            bias = pack_bias(sequence_ids, sequence_ids)
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            x = run_layer(
                layer, x, rngs, remat=self.remat,
                bias=bias, dims=dims, positions=positions if number == last else None,
            )  # fmt: skip
        return x.reshape(batch, -1, dims.width)

    def logits(self, hidden, *, rngs=None):
        """Apply the head to `[..., width]`: float32 `[..., vocabulary, labels or 2]`."""
        return self.head(hidden, self.word_embeddings, rngs=rngs).astype(jnp.float32)

    def __call__(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        *,
        sequence_ids=None,
        starts=None,
        rngs=None,
    ):
        """Return the logits of a batch of int32 `[batch, time]`, in float32.

        masked_lm `[batch, time, vocab]`, sequence_classification `[batch, num_labels]`,
        token_classification `[batch, time, num_labels]`, question_answering the pair start, end,
        each `[batch, time]`. `rngs` with a stream `dropout` turns dropout on.

        Of rows packed as in `hidden` sequence_classification returns `[batch, sequences,
        num_labels]`; `starts`, int32 `[batch, sequences]`, is where each sequence begins, below 0
        where there is none.
        """
        options = {"sequence_ids": sequence_ids, "rngs": rngs}
        if self.head_name == "sequence_classification":
            packed = sequence_ids is not None
            first = jnp.maximum(starts, 0) if packed else jnp.zeros((len(input_ids), 1), jnp.int32)
            x = self.hidden(input_ids, attention_mask, token_type_ids, positions=first, **options)
            return self.logits(x if packed else x[:, 0], rngs=rngs)
        x = self.hidden(input_ids, attention_mask, token_type_ids, **options)
        logits = self.logits(x, rngs=rngs)
        if self.head_name == "question_answering":
            return logits[..., 0], logits[..., 1]
        return logits


def _position_init(config: PretrainedConfig, dims: Dims) -> Normal | Sinusoid:
    std = config.initializer_range
    zero = dims.first_position - 1 if dims.first_position else None
    if getattr(config, "position_embedding_init", None) == "sinusoidal":
        return Sinusoid(std * math.sqrt(2), zero)
    if getattr(config, "sinusoidal_pos_embds", False):
        return Sinusoid(1.0)
    return Normal(std, zero)


def _positions(input_ids: jax.Array, sequence_ids: jax.Array | None, dims: Dims) -> jax.Array:
    if sequence_ids is not None:
        return pack_positions(sequence_ids) + dims.first_position
    if not dims.first_position:
        return jnp.arange(input_ids.shape[1])[None]
    # Padding is not counted and gets the padding row.
    real = input_ids != dims.first_position - 1
    return jnp.where(real, jnp.cumsum(real, axis=1), 0) + dims.first_position - 1


def build(config: PretrainedConfig, head: str) -> Encoder:
    """Make an abstract encoder."""
    return Encoder(config, head)


def names(config: PretrainedConfig, head: str) -> Names:
    """The PyTorch names of the modules of `build(config, head)`."""
    dims = Dims.from_config(config)
    return torch_names.names(dims.family, dims.layers, head, tied=config.tie_word_embeddings)


def apply_init(model: Encoder) -> None:
    """Change the first values as the configuration's `attention_init` asks."""
    if attention_init(model.config, "neighbours") is None:
        return
    dims = Dims.from_config(model.config)
    init_neighbours.apply_init(
        model.position_embeddings,
        model.word_embeddings,
        getattr(model, "token_type_embeddings", None),
        list(model.layers),
        heads=dims.heads,
        std=model.config.initializer_range,
        first_position=dims.first_position,
    )


def architecture(config: PretrainedConfig, head: str) -> str:
    """The PyTorch class that holds the same weights."""
    return torch_names.CLASSES[config.model_type] + torch_names.HEADS[head]


def max_positions(config: PretrainedConfig) -> int:
    """The number of tokens that a sequence may have."""
    return config.max_position_embeddings - Dims.from_config(config).first_position


class BertEntries(Entries):
    """Of BERT, RoBERTa and theirs."""

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_attention_heads: Size
    num_hidden_layers: Layers
    max_position_embeddings: Size
    type_vocab_size: int = Field(ge=0, le=2**24)
    hidden_dropout_prob: Rate
    attention_probs_dropout_prob: Rate
    classifier_dropout: float | None = Field(None, ge=0, lt=1)
    initializer_range: Scale
    layer_norm_eps: Scale
    pad_token_id: int | None = Field(None, ge=0)


class DistilBertEntries(Entries):
    """Of DistilBERT, under its own names."""

    vocab_size: Size
    dim: Size
    hidden_dim: Size
    n_heads: Size
    n_layers: Layers
    max_position_embeddings: Size
    dropout: Rate
    attention_dropout: Rate
    qa_dropout: Rate
    seq_classif_dropout: Rate
    initializer_range: Scale
    pad_token_id: int | None = Field(None, ge=0)


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that this encoder does not support."""
    kind = config.model_type
    check_entries(DistilBertEntries if kind == "distilbert" else BertEntries, config)
    position = getattr(config, "position_embedding_type", None) or "absolute"
    if position != "absolute":
        raise InputError(
            f"position_embedding_type {quoted(position)} is not supported for {kind}; "
            "use a model with absolute positions"
        )
    start = getattr(config, "position_embedding_init", None)
    if start not in (None, "normal", "sinusoidal"):
        raise InputError(
            f"position_embedding_init {quoted(start)} is unknown; use 'normal' or 'sinusoidal'"
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
    dims = Dims.from_config(config)
    activation(dims.activation)
    if dims.width % dims.heads:
        raise InputError(
            f"width {dims.width} is not a multiple of {dims.heads} attention heads; "
            "change one of them"
        )
    if max_positions(config) < 1:
        raise InputError(
            f"max_position_embeddings {config.max_position_embeddings} leaves no position after "
            f"the {dims.first_position} of padding; raise it"
        )
