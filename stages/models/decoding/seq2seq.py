"""What T5 and Whisper share: a decoder that attends to an encoder's output."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from stages.models.base import GenerativeModel, run_layer
from stages.models.decoding.blocks import Layer
from stages.models.decoding.cache import Cache, CacheWriter, causal_bias, empty_cache, positions
from stages.models.layers import mask_bias, pack_bias, pack_positions, sequence_starts


class EncoderDecoder(GenerativeModel):
    """A model with `encode`, and a decoder whose `layers` have a cross-attention.

    A family sets `decoder`, a stack with `layers: nnx.List[Layer]`, and `decoder_limit`, the most
    tokens that it takes, and defines

    - `embed(ids, positions, rngs)`: int32 `[rows, time]`, and positions that broadcast to it, to
      `[rows * time, width]`,
    - `position_bias(queries, keys)`: positions int32 `[queries]` and `[keys]` to a learned bias
      `[1, heads, queries, keys]`, or None,
    - `finish(x, rngs)`: the last layer's output to the input of `logits`.
    """

    decoder_limit: int

    def decoder_inputs(self, labels: jax.Array, sequence_ids=None) -> jax.Array:
        """Shift int32 `[rows, time]` to the right, after `decoder_start_token_id`.

        Labels that are not scored (-100) become padding. `sequence_ids`, int32 `[rows, time]`,
        counts the sequences packed into a row; each of them is shifted.
        """
        start = self.config.decoder_start_token_id
        first = jnp.full_like(labels[:, :1], start)
        shifted = jnp.concatenate([first, labels[:, :-1]], axis=1)
        if sequence_ids is not None:
            shifted = jnp.where(sequence_starts(sequence_ids), start, shifted)
        return jnp.where(shifted == -100, self.config.pad_token_id, shifted)

    def decoder_hidden(
        self,
        ids,
        encoded,
        mask=None,
        attention_mask=None,
        *,
        sequence_ids=None,
        source_sequence_ids=None,
        rngs=None,
    ):
        """Map int32 `[rows, time]` to float `[rows, time, width]`, of all tokens at once.

        `encoded` is `[rows, source, width]`, `attention_mask` `[rows, source]` is nonzero at its
        real tokens, `mask` at those of `ids`; by default all are real. Several sequences may be
        packed into a row, each with its source: `sequence_ids` `[rows, time]` and
        `source_sequence_ids` `[rows, source]` count them from 1 and are 0 at padding, as the masks
        are, which are then not read.
        """
        rows, time = ids.shape
        if sequence_ids is None and time > self.decoder_limit:
            raise ValueError(f"{time} tokens, but the decoder has {self.decoder_limit}")
        order = jnp.arange(time)
        position = self.position_bias(order, order)
        if sequence_ids is None:
            places = order[None] if mask is None else positions(mask)
            bias, memory_bias = causal_bias(time, mask), source_bias(attention_mask)
        else:
            places = pack_positions(sequence_ids)
            bias = jnp.minimum(causal_bias(time, None), pack_bias(sequence_ids, sequence_ids))
            memory_bias = pack_bias(sequence_ids, source_sequence_ids)
        x = self.embed(ids, places, rngs)
        run = {
            "call": _with_cross_attention,
            "encoded": encoded.reshape(-1, encoded.shape[-1]),
            "rows": rows,
            "bias": bias,
            "position": position,
            "memory_bias": memory_bias,
        }
        for layer in self.decoder.layers:
            x = run_layer(layer, x, rngs, remat=self.remat, **run)
        return self.finish(x, rngs).reshape(rows, time, -1)

    def start_cache(self, rows: int, length: int, encoded, attention_mask=None) -> Cache:
        """Make a cache for `length` tokens of each row, with the keys and values of the source.

        `encoded` is `[sources, source, width]`; `cache.py` describes fewer sources than rows.
        """
        attention = self.decoder.layers[0].attention
        cache = empty_cache(
            len(self.decoder.layers),
            rows,
            attention.heads,
            length,
            attention.key.kernel.shape[1] // attention.heads,
            encoded.dtype,
            limit=self.decoder_limit,
        )
        flat = encoded.reshape(-1, encoded.shape[-1])
        pairs = [layer.cross.keys_values(flat, len(encoded)) for layer in self.decoder.layers]
        keys, values = zip(*pairs, strict=True)
        if attention_mask is not None:
            attention_mask = attention_mask.astype(jnp.int32)
        return cache._replace(cross_keys=keys, cross_values=values, cross_mask=attention_mask)

    def decode(self, ids, cache: Cache, mask=None) -> tuple[jax.Array, Cache]:
        """Return float32 `[rows, new, vocab]` and the cache with the new tokens in it."""
        rows, new = ids.shape
        writer = CacheWriter(cache, ids, mask)
        run = partial(
            Layer.__call__,
            rows=rows,
            bias=writer.bias(),
            position=self.position_bias(writer.slots, jnp.arange(cache.mask.shape[1])),
            memory_bias=source_bias(cache.cross_mask),
            update_cache=writer,
        )
        x = self.embed(ids, writer.positions)
        memories = zip(cache.cross_keys, cache.cross_values, strict=True)
        for layer, memory in zip(self.decoder.layers, memories, strict=True):
            x = run(layer, x, memory=memory)
        return self.logits(self.finish(x).reshape(rows, new, -1)), writer.result()


def source_bias(mask: jax.Array | None) -> jax.Array | None:
    """The bias on the scores of a source whose `mask` `[rows, source]` is nonzero at tokens."""
    return None if mask is None else mask_bias(mask)[:, None, None, :]


def _with_cross_attention(layer: Layer, x, *, encoded, rows: int, rngs: nnx.Rngs | None, **kwargs):
    memory = layer.cross.keys_values(encoded, rows)
    return layer(x, rows, memory=memory, rngs=rngs, **kwargs)
