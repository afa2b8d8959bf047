"""Logits processors: they change the scores of the next token before one is chosen.

A processor is compiled only if its option is set. Their order is that of transformers; it matters
where one forces what another forbids.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from stages.generation.options import GenerationOptions

# (scores [rows, vocabulary], ids [rows, prompt + new], step) -> scores
LogitsProcessor = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

ABSENT = -1  # replaces padding of a prompt in `ids`: equal to no token


def make_logits_processor(
    options: GenerationOptions, prompt_length: int, new: int, vocabulary: int
) -> LogitsProcessor:
    """Compose the processors that `options` ask for.

    Args:
        options: of the search.
        prompt_length: tokens of the prompt, the same in all rows.
        new: the most new tokens of a row.
        vocabulary: number of tokens to choose from.

    Returns:
        `adjust(scores, ids, step)`: scores float32 [rows, vocabulary], logits or log
        probabilities; ids int32 [rows, prompt_length + new], valid up to
        `prompt_length + step`, with `ABSENT` for padding; step int32, new tokens so far. It returns
        the scores, with minus infinity for a forbidden token.
    """
    processors: list[LogitsProcessor] = []
    add = processors.append
    if options.repetition_penalty != 1:
        add(_repetition(options.repetition_penalty, prompt_length))
    if options.no_repeat_ngram_size > 0:
        add(_no_repeat(options.no_repeat_ngram_size, prompt_length))
    fewest = options.min_tokens(prompt_length)
    if options.eos_token_id and fewest > 0:
        add(_forbid(options.eos_token_id, vocabulary, lambda step: step < fewest))
    if options.forced_bos_token_id is not None and prompt_length == 1:
        add(_force((options.forced_bos_token_id,), vocabulary, lambda step: step == 0))
    if options.forced_eos_token_id:
        add(_force(options.forced_eos_token_id, vocabulary, lambda step: step == new - 1))
    if options.suppress_tokens:
        add(_forbid(options.suppress_tokens, vocabulary, lambda step: True))
    if options.begin_suppress_tokens:
        first = int(prompt_length == 1 and options.forced_bos_token_id is not None)
        add(_forbid(options.begin_suppress_tokens, vocabulary, lambda step: step == first))

    def adjust(scores: jax.Array, ids: jax.Array, step: jax.Array) -> jax.Array:
        for process in processors:
            scores = process(scores, ids, step)
        return scores

    return adjust


def is_one_of(tokens: jax.Array, listed: tuple[int, ...]) -> jax.Array:
    """Whether each token is in `listed`: bool of the shape of `tokens`."""
    found = jnp.zeros(tokens.shape, bool)
    for token in listed:
        found |= tokens == token
    return found


def _table(listed: tuple[int, ...], vocabulary: int) -> np.ndarray:
    table = np.zeros(vocabulary, bool)
    table[list(listed)] = True
    return table


def _forbid(listed: tuple[int, ...], vocabulary: int, when: Callable) -> LogitsProcessor:
    table = _table(listed, vocabulary)
    return lambda scores, ids, step: jnp.where(table & when(step), -jnp.inf, scores)


def _force(listed: tuple[int, ...], vocabulary: int, when: Callable) -> LogitsProcessor:
    forced = np.where(_table(listed, vocabulary), 0, -np.inf).astype(np.float32)
    return lambda scores, ids, step: jnp.where(when(step), forced, scores)


def _mark(ids: jax.Array, where: jax.Array, vocabulary: int) -> jax.Array:
    """Whether a token is among `ids` [rows, n] at `where`: bool [rows, vocabulary]."""
    rows = jnp.arange(ids.shape[0])[:, None]
    indices = jnp.where(where & (ids != ABSENT), ids, vocabulary)  # beyond the table: dropped
    return jnp.zeros((ids.shape[0], vocabulary), bool).at[rows, indices].set(True, mode="drop")


def _repetition(penalty: float, prompt_length: int) -> LogitsProcessor:
    def process(scores, ids, step):
        written = jnp.arange(ids.shape[1]) < prompt_length + step
        seen = _mark(ids, written, scores.shape[1])
        penalised = jnp.where(scores < 0, scores * penalty, scores / penalty)
        return jnp.where(seen, penalised, scores)

    return process


def _no_repeat(size: int, prompt_length: int) -> LogitsProcessor:
    """Forbid the tokens that would repeat an n-gram.

    A repeated n-gram starts with the last `size - 1` tokens, which are compared with every window.
    """

    def process(scores, ids, step):
        windows = ids.shape[1] - size + 1
        if windows <= 0:
            return scores
        length = prompt_length + step
        same = jnp.arange(windows) + size - 1 < length
        for offset in range(size - 1):
            last = jax.lax.dynamic_slice_in_dim(ids, length - size + 1 + offset, 1, axis=1)
            same &= ids[:, offset : offset + windows] == last
        same = jnp.broadcast_to(same, (ids.shape[0], windows))
        forbidden = _mark(ids[:, size - 1 :], same, scores.shape[1])
        return jnp.where(forbidden, -jnp.inf, scores)

    return process
