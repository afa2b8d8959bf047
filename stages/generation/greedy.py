"""Greedy search: choose the best token in each step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from stages.generation.options import GenerationOptions
from stages.generation.scores import is_one_of, make_logits_processor
from stages.models.decoding.cache import Cache


class State(NamedTuple):
    """State of the loop.

    step: int32, number of new tokens in a running row. ids: int32 [rows, prompt + new].
    lengths: int32 [rows], new tokens. done: bool [rows].
    """

    step: jax.Array
    ids: jax.Array
    lengths: jax.Array
    done: jax.Array
    cache: Cache


def greedy_search(
    model: nnx.Module,
    cache: Cache,
    prompt: jax.Array,
    new: int,
    done: jax.Array,
    options: GenerationOptions,
) -> dict[str, jax.Array]:
    """Continue each prompt with its best tokens until all rows are done.

    Args:
        model: see `stages/models/decoding/cache.py`.
        cache: holds all of the prompt but its last token.
        prompt: int32 [rows, length], `scores.ABSENT` at padding.
        new: the most new tokens of a row.
        done: bool [rows], rows that get no tokens.
        options: of the search.

    Returns:
        `sequences` int32 [rows, new], padded with the pad token; `lengths` int32 [rows].
    """
    rows, length = prompt.shape
    adjust = make_logits_processor(options, length, new, model.config.vocab_size)

    def body(state: State) -> State:
        last = jax.lax.dynamic_slice_in_dim(state.ids, length + state.step - 1, 1, axis=1)
        logits, cache = model.decode(last, state.cache)
        token = argmax_first(adjust(logits[:, 0], state.ids, state.step))
        token = jnp.where(state.done, options.pad_token_id, token)
        return State(
            step=state.step + 1,
            ids=jax.lax.dynamic_update_slice_in_dim(
                state.ids, token[:, None], length + state.step, axis=1
            ),
            lengths=state.lengths + ~state.done,
            done=state.done | is_one_of(token, options.eos_token_id),
            cache=cache,
        )

    state = jax.lax.while_loop(
        lambda state: (state.step < new) & ~state.done.all(),
        body,
        State(
            step=jnp.zeros((), jnp.int32),
            ids=jnp.pad(prompt, ((0, 0), (0, new)), constant_values=options.pad_token_id),
            lengths=jnp.zeros(rows, jnp.int32),
            done=done,
            cache=cache,
        ),
    )
    return {"sequences": state.ids[:, length:], "lengths": state.lengths}


def argmax_first(scores: jax.Array) -> jax.Array:
    """Like `jnp.argmax(scores, axis=1)`: int32 [rows] of float32 [rows, n], first of equal ones.

    It uses two plain reductions, which XLA vectorises on CPU; `jnp.argmax` is a reduction over
    pairs, which it does not vectorise.
    """
    best = scores.max(axis=1, keepdims=True)
    indices = jnp.arange(scores.shape[1], dtype=jnp.int32)
    return jnp.where(scores == best, indices, scores.shape[1] - 1).min(axis=1)
