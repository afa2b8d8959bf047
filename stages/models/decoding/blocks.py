"""The pre-norm layer that GPT-2, T5 and Whisper share.

The encoders of `bert/model.py` are post-norm and have another layer (Xiong et al. 2020,
arXiv:2002.04745, compare the two).
"""

from collections.abc import Callable

import jax
from flax import nnx

from stages.models.dropout import dropout
from stages.models.layers import (
    LayerNorm,
    Linear,
    RMSNorm,
    activation,
    attention,
    merge_heads,
    split_heads,
)

Pair = tuple[jax.Array, jax.Array]


class Attention(nnx.Module):
    """Multi-head self- or cross-attention with its four projections."""

    def __init__(
        self,
        query: Linear,
        key: Linear,
        value: Linear,
        projection: Linear,
        *,
        heads: int,
        scale: float,
        rate: float,
    ):
        self.query, self.key, self.value, self.projection = query, key, value, projection
        self.heads, self.scale, self.rate = heads, scale, rate

    def queries(self, x: jax.Array, rows: int) -> jax.Array:
        """Map `[rows * time, width]` to `[rows, heads, time, size]`."""
        return split_heads(self.query(x), rows, self.heads)

    def keys_values(self, x: jax.Array, rows: int) -> Pair:
        """Map `[rows * time, width]` to the pair keys, values, each `[rows, heads, time, size]`."""
        return (
            split_heads(self.key(x), rows, self.heads),
            split_heads(self.value(x), rows, self.heads),
        )

    def project(self, x: jax.Array, rows: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return queries, keys and values of the same tokens."""
        return self.queries(x, rows), *self.keys_values(x, rows)

    def attend(self, queries, keys, values, bias, position=None, *, rngs) -> jax.Array:
        """Attend as `layers.attention` does, and project: `[rows * query time, width]`."""
        attended = attention(
            queries,
            keys,
            values,
            bias,
            position=position,
            scale=self.scale,
            rate=self.rate,
            rngs=rngs,
        )
        return self.projection(merge_heads(attended))


class FeedForward(nnx.Module):
    """Expand, activate, contract; optionally gated as in Shazeer 2020 (arXiv:2002.05202).

    `rate` is the dropout before contracting.
    """

    def __init__(
        self,
        expand: Linear,
        contract: Linear,
        *,
        act: str,
        gate: Linear | None = None,
        rate: float = 0.0,
    ):
        self.expand, self.contract, self.gate = expand, contract, gate
        self.act, self.rate = act, rate

    def __call__(self, x: jax.Array, *, rngs) -> jax.Array:
        """Map `[..., width]` to the same."""
        act = activation(self.act)
        if self.gate is None:
            y = act(self.expand(x))
        else:
            y = act(self.gate(x)) * self.expand(x)
        return self.contract(dropout(y, self.rate, rngs))


def no_cache(keys: jax.Array, values: jax.Array) -> Pair:
    """Attend only to the new tokens."""
    return keys, values


class Layer(nnx.Module):
    """Self-attention, optionally cross-attention, and a feed-forward part.

    Each reads the normalised residual stream and is added to it after dropout of `rate`.
    """

    def __init__(
        self,
        attention: Attention,
        feed_forward: FeedForward,
        norm: Callable[[], LayerNorm | RMSNorm],
        *,
        rate: float,
        cross: Attention | None = None,
    ):
        self.attention_norm, self.attention = norm(), attention
        if cross is not None:
            self.cross_norm, self.cross = norm(), cross
        self.output_norm, self.feed_forward = norm(), feed_forward
        self.rate = rate

    def __call__(
        self,
        x: jax.Array,
        rows: int,
        bias: jax.Array | None,
        *,
        position: jax.Array | None = None,
        memory: Pair | None = None,
        memory_bias: jax.Array | None = None,
        update_cache: Callable[[jax.Array, jax.Array], Pair] = no_cache,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Map `[rows * time, width]` to the same.

        Args:
            x: the tokens of all rows, row after row.
            rows: number of rows.
            bias: added to the scores, broadcast to `[rows, heads, time, keys]`.
            position: a learned bias, added to the scores as well.
            memory: keys and values of the encoder's output, for `rows` or fewer rows, see
                `cache.py`.
            memory_bias: added to the scores of the memory.
            update_cache: takes the new keys and values, and returns those to attend to.
            rngs: with a stream `dropout`; None is evaluation mode.
        """
        y = self.attention_norm(x)
        queries, keys, values = self.attention.project(y, rows)
        keys, values = update_cache(keys, values)
        y = self.attention.attend(queries, keys, values, bias, position, rngs=rngs)
        x = x + dropout(y, self.rate, rngs)
        if memory is not None:
            # One row of the memory serves the queries of several rows: the beams of a sequence.
            queries = self.cross.queries(self.cross_norm(x), memory[0].shape[0])
            y = self.cross.attend(queries, *memory, memory_bias, rngs=rngs)
            x = x + dropout(y, self.rate, rngs)
        y = self.feed_forward(self.output_norm(x), rngs=rngs)
        return x + dropout(y, self.rate, rngs)
