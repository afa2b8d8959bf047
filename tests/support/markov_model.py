"""A stand-in for a model that generates: a Markov chain whose scores are given by hand."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from transformers import GenerationConfig

from stages.generation import GenerationOptions, make_generate_step
from stages.models.decoding.cache import Cache

PAD, END, A, B, C, D, E, START = range(8)
VOCABULARY = 8
# A cycle A B C D A B C D ..., which is left at each B with probability 0.1.
ROUND = {
    START: {A: 0.9, D: 0.1},
    A: {B: 0.9, E: 0.1},
    B: {C: 0.7, D: 0.2, END: 0.1},
    C: {D: 1},
    D: {A: 0.8, END: 0.2},
    E: {END: 1},
}


@dataclass(frozen=True)
class ChainConfig:
    vocab_size: int
    model_type: str = "chain"
    max_position_embeddings: int = 32


class Chain(nnx.Module):
    """The next token depends on the last two: `table` [vocabulary, vocabulary, vocabulary].

    The token before the last is read from the cache, where it stands as a key of size 1, so that a
    beam which keeps another's cache is found out. A masked one counts as padding.
    """

    def __init__(self, table: np.ndarray, **generation):
        self.table = nnx.Param(jnp.asarray(table, jnp.float32))
        self.config = ChainConfig(len(table))
        settings = {"pad_token_id": PAD, "eos_token_id": END, **generation}
        self.generation_config = GenerationConfig(**settings)

    def start_cache(self, rows: int, length: int) -> Cache:
        zeros = jnp.zeros((rows, 1, length, 1), jnp.float32)
        mask = jnp.zeros((rows, length), jnp.int32)
        return Cache((zeros,), (zeros,), mask, jnp.zeros((), jnp.int32), (), (), None)

    def decode(self, ids: jax.Array, cache: Cache, mask: jax.Array | None = None):
        mask = jnp.ones_like(ids) if mask is None else mask
        new = (ids * mask).astype(jnp.float32)[:, None, :, None]
        place = (0, 0, cache.filled, 0)
        keys = jax.lax.dynamic_update_slice(cache.keys[0], new, place)
        before = jnp.take(keys[:, 0, :, 0], cache.filled + jnp.arange(ids.shape[1]) - 1, axis=1)
        first = (cache.filled + jnp.arange(ids.shape[1])) == 0
        before = jnp.where(first, PAD, before).astype(jnp.int32)
        cache = cache._replace(
            keys=(keys,),
            mask=jax.lax.dynamic_update_slice(cache.mask, mask, (0, cache.filled)),
            filled=cache.filled + ids.shape[1],
        )
        return self.table[...][before, ids], cache


def chain_of(
    probabilities: dict[int, dict[int, float]], vocabulary: int = 8, **generation
) -> Chain:
    """A chain of first order: what follows each token, with which probability; else nothing."""
    table = np.full((VOCABULARY, VOCABULARY), 1e-30)
    for token, following in probabilities.items():
        for other, probability in following.items():
            table[token, other] = probability
    return Chain(np.broadcast_to(np.log(table), (VOCABULARY, *table.shape)), **generation)


def left_padded(prompts, width=None):
    """A batch of prompts, padded with END so that padding cannot be recognised by its id."""
    width = width or max(map(len, prompts))
    ids = np.full((len(prompts), width), END, np.int32)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = prompt
        mask[row, width - len(prompt) :] = 1
    return {"input_ids": ids, "attention_mask": mask}


def generate(model, batch, step=None, **options):
    """The new tokens of each row as lists, without padding."""
    step = step or make_generate_step(model, GenerationOptions.from_model(model, **options))
    out = jax.device_get(step(nnx.state(model), batch))
    rows = []
    for ids, length in zip(out["sequences"], out["lengths"], strict=True):
        assert (ids[length:] == model.generation_config.pad_token_id).all()
        rows.append(ids[:length].tolist())
    return rows
