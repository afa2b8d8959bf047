"""Beam search: keep the best few sequences of each length, and return the best finished one.

The score of a finished sequence is its log probability divided by its length to the power of
`length_penalty`. As in T5X and Flax all shapes are fixed: each row has `num_beams` running beams
and as many finished ones. A row's result does not depend on the other rows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from stages.generation.options import GenerationOptions
from stages.generation.scores import is_one_of, make_logits_processor
from stages.models.decoding.cache import Cache

# Added to the score of what must not be chosen. It is finite, as in transformers, so that the same
# one of several impossible beams fills a slot.
FLOOR = -1e9


class Beams(NamedTuple):
    """A set of beams of each row, best first.

    ids: int32 [rows, beams, prompt + new]. scores: float32 [rows, beams]. lengths: int32
    [rows, beams], new tokens. flags: bool [rows, beams], whether a sequence is finished.
    """

    ids: jax.Array
    scores: jax.Array
    lengths: jax.Array
    flags: jax.Array


class State(NamedTuple):
    """State of the loop; `active` bool [rows]: the finished beams of the row may still change."""

    step: jax.Array
    running: Beams
    finished: Beams
    active: jax.Array
    cache: Cache


def beam_search(
    model: nnx.Module,
    cache: Cache,
    prompt: jax.Array,
    new: int,
    done: jax.Array,
    options: GenerationOptions,
) -> dict[str, jax.Array]:
    """Continue each prompt with the best sequence found.

    Arguments and results are those of `greedy_search`; the cache has `rows` rows and is repeated
    here for the beams.
    """
    rows, length = prompt.shape
    beams, vocabulary = options.num_beams, model.config.vocab_size
    adjust = make_logits_processor(options, length, new, vocabulary)
    # Enough for `beams` running ones even if every beam proposes each end token.
    wanted = max(2, 1 + len(options.eos_token_id)) * beams
    # The divisor of a score for each number of tokens, computed in double precision.
    divisors = [tokens**options.length_penalty for tokens in range(1, new + 1)]
    divisors = jnp.asarray(divisors, jnp.float32)

    def body(state: State) -> State:
        step, running = state.step, state.running
        flat_ids = running.ids.reshape(rows * beams, -1)
        last = jax.lax.dynamic_slice_in_dim(flat_ids, length + step - 1, 1, axis=1)
        logits, cache = model.decode(last, state.cache)
        scores = adjust(jax.nn.log_softmax(logits[:, 0]), flat_ids, step)
        scores = scores.reshape(rows, beams, vocabulary) + running.scores[:, :, None]

        # The best continuations of all beams of a row.
        scores, indices = jax.lax.top_k(scores.reshape(rows, -1), wanted)
        parents, tokens = indices // vocabulary, indices % vocabulary
        ids = jnp.take_along_axis(running.ids, parents[:, :, None], axis=1)
        ids = jax.lax.dynamic_update_slice_in_dim(ids, tokens[:, :, None], length + step, axis=2)
        ends = is_one_of(tokens, options.eos_token_id) | (step == new - 1)
        lengths = jnp.full((rows, wanted), step + 1, jnp.int32)

        # The ones that continue.
        going = scores + ends * FLOOR
        order = jax.lax.top_k(going, beams)[1]
        running = _pick(Beams(ids, going, lengths, ends), order)

        # The ones that end, if among the best `beams`, together with those that ended before.
        ending = ends & (jnp.arange(wanted) < beams)
        scores = scores / divisors[step] + ~(ending & state.active[:, None]) * FLOOR
        both = jax.tree.map(
            lambda a, b: jnp.concatenate([a, b], axis=1),
            state.finished,
            Beams(ids, scores, lengths, ending),
        )
        finished = _pick(both, jax.lax.top_k(both.scores, beams)[1])

        full = finished.flags.all(axis=1) & (options.early_stopping is True)
        return State(
            step=step + 1,
            running=running,
            finished=finished,
            active=state.active & ~full & _may_improve(running, finished, reach(step)),
            cache=_reorder(cache, jnp.take_along_axis(parents, order, axis=1)),
        )

    def reach(step: jax.Array) -> jax.Array:
        """The divisor of a running beam's score in the comparison with finished ones."""
        at_full_length = options.early_stopping == "never" and options.length_penalty > 0
        return divisors[new - 1] if at_full_length else divisors[step]

    start = jnp.pad(prompt, ((0, 0), (0, new)), constant_values=options.pad_token_id)
    ids = jnp.repeat(start[:, None], beams, axis=1)
    no_lengths, no_flags = jnp.zeros((rows, beams), jnp.int32), jnp.zeros((rows, beams), bool)
    nothing = jnp.full((rows, beams), FLOOR)
    # At the start all beams are equal, so only the first one counts.
    first = nothing.at[:, 0].set(0)
    state = jax.lax.while_loop(
        lambda state: (state.step < new) & (state.active & ~done).any(),
        body,
        State(
            step=jnp.zeros((), jnp.int32),
            running=Beams(ids, first, no_lengths, no_flags),
            finished=Beams(ids, nothing, no_lengths, no_flags),
            active=jnp.ones(rows, bool),
            cache=_repeat(cache, beams),
        ),
    )
    sequences = jnp.where(done[:, None], options.pad_token_id, state.finished.ids[:, 0, length:])
    return {"sequences": sequences, "lengths": jnp.where(done, 0, state.finished.lengths[:, 0])}


def _may_improve(running: Beams, finished: Beams, divisor: jax.Array) -> jax.Array:
    """Whether a row's best running beam would beat its worst finished one: bool [rows]."""
    worst = jnp.where(finished.flags, finished.scores.min(axis=1, keepdims=True), FLOOR)
    return (running.scores[:, :1] / divisor > worst).any(axis=1)


def _pick(beams: Beams, indices: jax.Array) -> Beams:
    """The beams at `indices` [rows, n] of each row."""

    def pick(array: jax.Array) -> jax.Array:
        index = indices.reshape(*indices.shape, *(1,) * (array.ndim - 2))
        return jnp.take_along_axis(array, index, axis=1)

    return jax.tree.map(pick, beams)


def _repeat(cache: Cache, beams: int) -> Cache:
    """A cache of `rows * beams` rows; cross keys and values still have `rows`."""
    keys, values, mask = jax.tree.map(
        lambda array: jnp.repeat(array, beams, axis=0), (cache.keys, cache.values, cache.mask)
    )
    return cache._replace(keys=keys, values=values, mask=mask)


def _reorder(cache: Cache, sources: jax.Array) -> Cache:
    """Give each beam the keys and values of the beam that it continues, `sources` [rows, beams]."""
    rows, beams = sources.shape

    def pick(array: jax.Array) -> jax.Array:
        by_row = array.reshape(rows, beams, *array.shape[1:])
        return jax.vmap(lambda own, indices: own[indices])(by_row, sources).reshape(array.shape)

    keys, values = jax.tree.map(pick, (cache.keys, cache.values))
    return cache._replace(keys=keys, values=values)
