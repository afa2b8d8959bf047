"""The key-value cache of generation, with which only new tokens are computed.

A generative model has

- `encode(...)`: T5 and Whisper, the encoder's output `[rows, source, width]`,
- `start_cache(rows, length)`, or `start_cache(rows, length, encoded, attention_mask=None)`,
- `decode(ids, cache, mask=None) -> (logits, cache)`: int32 `[rows, new]` go into the next `new`
  slots; `mask` is 0 at the left padding of prompts. Logits are float32 `[rows, new, vocab]`.

The prompt goes first, all at once, then one token at a time. A cache has as many rows as the ids.
Cross keys and values may have fewer: each of their rows then serves an equal number of successive
rows of ids, so that beams share the encoder's output.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from stages.models.layers import mask_bias


class Cache(NamedTuple):
    """Slots for `length` tokens, of which the first `filled` are in use.

    Attributes:
        keys: one array a layer, `[rows, heads, length, size]`.
        values: as `keys`.
        mask: int32 `[rows, length]`, 1 where a slot holds a real token.
        filled: int32 scalar, the number of slots in use, the same in all rows.
        cross_keys: one array a layer, `[rows, heads, source, size]`; empty without an encoder.
        cross_values: as `cross_keys`.
        cross_mask: int32 `[rows, source]`, 1 at real tokens of the source; None: all of them.
    """

    keys: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]
    mask: jax.Array
    filled: jax.Array
    cross_keys: tuple[jax.Array, ...] = ()
    cross_values: tuple[jax.Array, ...] = ()
    cross_mask: jax.Array | None = None


def empty_cache(
    layers: int, rows: int, heads: int, length: int, size: int, dtype: jnp.dtype, *, limit: int
) -> Cache:
    """Make an empty cache; ValueError if `length` exceeds `limit`, the model's positions."""
    if length > limit:
        raise ValueError(f"{length} tokens, but the model has {limit} positions")
    slots = tuple(jnp.zeros((rows, heads, length, size), dtype) for _ in range(layers))
    return Cache(slots, slots, jnp.zeros((rows, length), jnp.int32), jnp.zeros((), jnp.int32))


class CacheWriter:
    """Writes the new keys and values to their slots; called once a layer, in order.

    Attributes:
        mask: of all slots, the new ones included, int32 `[rows, length]`.
        positions: the number of real tokens before each new one, int32 `[rows, new]`.
        slots: the new tokens' slots, int32 `[new]`.
    """

    def __init__(self, cache: Cache, ids: jax.Array, mask: jax.Array | None):
        if mask is None:
            mask = jnp.ones_like(ids)
        mask = mask.astype(jnp.int32)
        self.cache = cache
        self.mask = jax.lax.dynamic_update_slice_in_dim(cache.mask, mask, cache.filled, axis=1)
        self.positions = positions(mask, cache.mask.sum(1, keepdims=True))
        self.slots = cache.filled + jnp.arange(ids.shape[1])
        self.keys: list[jax.Array] = []
        self.values: list[jax.Array] = []

    def bias(self) -> jax.Array:
        """The causal bias on the scores `[rows, 1, new, length]`, which also masks padding."""
        past = jnp.arange(self.mask.shape[1]) <= self.slots[:, None]
        return mask_bias(past & (self.mask[:, None, None] != 0))

    def __call__(self, keys: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Write a layer's keys and values `[rows, heads, new, size]`; return those of all slots."""
        number = len(self.keys)
        for new, old, written in (
            (keys, self.cache.keys[number], self.keys),
            (values, self.cache.values[number], self.values),
        ):
            written.append(jax.lax.dynamic_update_slice_in_dim(old, new, self.cache.filled, axis=2))
        return self.keys[number], self.values[number]

    def result(self) -> Cache:
        """The cache with the new tokens in it."""
        return self.cache._replace(
            keys=tuple(self.keys),
            values=tuple(self.values),
            mask=self.mask,
            filled=self.cache.filled + len(self.slots),
        )


def positions(mask: jax.Array, before: jax.Array | int = 0) -> jax.Array:
    """Count the real tokens before each one, int32 `[rows, time]`, `before` of them earlier.

    Padding gets a position as well, on which nothing depends: 0 on the left, the last token's on
    the right.
    """
    return jnp.maximum(before + jnp.cumsum(mask, axis=1) - 1, 0)


def causal_bias(time: int, mask: jax.Array | None) -> jax.Array:
    """The causal bias on the scores of `time` tokens, which also masks padding.

    `[1, 1, time, time]`, or `[rows, 1, time, time]` with a mask `[rows, time]`.
    """
    past = jnp.tri(time, dtype=bool)[None, None]
    return mask_bias(past if mask is None else past & (mask[:, None, None] != 0))
