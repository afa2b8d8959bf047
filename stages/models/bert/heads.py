"""What the encoders end in: the heads of the four tasks."""

import jax
from flax import nnx
from transformers import PretrainedConfig

from stages.models.bert.dims import Shape
from stages.models.dropout import dropout
from stages.models.layers import Constant, Embedding, LayerNorm, Linear, activation, parameter


class MaskedLMHead(nnx.Module):
    """Transform and normalise, then score the vocabulary, as a rule with the token table."""

    def __init__(self, shape: Shape, config: PretrainedConfig, std: float):
        self.dense = Linear(shape.width, shape.width, std=std)
        self.norm = LayerNorm(shape.width, eps=shape.eps)
        # RoBERTa's head is always the exact gelu, whatever the encoder uses.
        self.activation = "gelu" if shape.family == "roberta" else shape.activation
        if config.tie_word_embeddings:
            self.bias = parameter((config.vocab_size,), Constant(0))
        else:
            self.decoder = Linear(shape.width, config.vocab_size, std=std)

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        x = self.norm(activation(self.activation)(self.dense(x)))
        if hasattr(self, "decoder"):
            return self.decoder(x)
        return tokens.attend(x) + self.bias[...]


class SequenceHead(nnx.Module):
    """Classify from the first token's vector."""

    def __init__(self, shape: Shape, config: PretrainedConfig, std: float):
        self.dense = Linear(shape.width, shape.width, std=std)
        self.output = Linear(shape.width, config.num_labels, std=std)
        self.activation = "relu" if shape.family == "distilbert" else "tanh"
        self.rate = shape.head_dropout["sequence_classification"]
        self.input_rate = self.rate if shape.family == "roberta" else 0.0

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        x = self.dense(dropout(x, self.input_rate, rngs))
        x = activation(self.activation)(x)
        return self.output(dropout(x, self.rate, rngs))


class TokenHead(nnx.Module):
    """Score each token by itself: labels, or whether an answer starts and ends there."""

    def __init__(self, shape: Shape, outputs: int, std: float, rate: float):
        self.output = Linear(shape.width, outputs, std=std)
        self.rate = rate

    def __call__(self, x, tokens: Embedding, *, rngs) -> jax.Array:
        return self.output(dropout(x, self.rate, rngs))


def make_head(shape: Shape, config: PretrainedConfig, head: str) -> nnx.Module:
    """The head of that name, called with the encoder's output and its token table."""
    std = config.initializer_range
    if head == "masked_lm":
        return MaskedLMHead(shape, config, std)
    if head == "sequence_classification":
        return SequenceHead(shape, config, std)
    if head == "token_classification":
        return TokenHead(shape, config.num_labels, std, shape.head_dropout[head])
    return TokenHead(shape, 2, std, shape.head_dropout.get(head, 0.0))
