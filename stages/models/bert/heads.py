"""The heads of the encoders."""

import jax
from flax import nnx
from transformers import PretrainedConfig

from stages.models.bert.dims import Dims
from stages.models.dropout import dropout
from stages.models.layers import Embedding, LayerNorm, Linear, activation
from stages.models.parameters import Constant, abstract_param


class MaskedLMHead(nnx.Module):
    """Transform and normalise, then score the vocabulary, usually with the tied token table."""

    def __init__(self, dims: Dims, config: PretrainedConfig, std: float):
        self.dense = Linear(dims.width, dims.width, std=std)
        self.norm = LayerNorm(dims.width, eps=dims.eps)
        # RoBERTa's head is always the exact gelu, whatever the encoder uses.
        self.activation = "gelu" if dims.family == "roberta" else dims.activation
        if config.tie_word_embeddings:
            self.bias = abstract_param((config.vocab_size,), Constant(0))
        else:
            self.decoder = Linear(dims.width, config.vocab_size, std=std)

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        x = self.norm(activation(self.activation)(self.dense(x)))
        if hasattr(self, "decoder"):
            return self.decoder(x)
        return tokens.attend(x) + self.bias[...]


class SequenceHead(nnx.Module):
    """Classify the first token's vector."""

    def __init__(self, dims: Dims, config: PretrainedConfig, std: float):
        self.dense = Linear(dims.width, dims.width, std=std)
        self.output = Linear(dims.width, config.num_labels, std=std)
        self.activation = "relu" if dims.family == "distilbert" else "tanh"
        self.rate = dims.head_dropout["sequence_classification"]
        self.input_rate = self.rate if dims.family == "roberta" else 0.0

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        x = self.dense(dropout(x, self.input_rate, rngs))
        x = activation(self.activation)(x)
        return self.output(dropout(x, self.rate, rngs))


class TokenHead(nnx.Module):
    """Score each token independently: labels, or whether an answer starts or ends there."""

    def __init__(self, dims: Dims, outputs: int, std: float, rate: float):
        self.output = Linear(dims.width, outputs, std=std)
        self.rate = rate

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        return self.output(dropout(x, self.rate, rngs))


def make_head(dims: Dims, config: PretrainedConfig, head: str) -> nnx.Module:
    """Make the head of that name; it is called with the encoder's output and token table."""
    std = config.initializer_range
    if head == "masked_lm":
        return MaskedLMHead(dims, config, std)
    if head == "sequence_classification":
        return SequenceHead(dims, config, std)
    if head == "token_classification":
        return TokenHead(dims, config.num_labels, std, dims.head_dropout[head])
    return TokenHead(dims, 2, std, dims.head_dropout.get(head, 0.0))
