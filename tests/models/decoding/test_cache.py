"""Generation one token at a time: the same logits as all tokens at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.decoders import HEADS, difference, load, stored, tiny


@pytest.fixture(scope="module", autouse=True)
def quick_compiles():
    """Tiny matrix products take XLA on CPU long to compile; fast code is not the point here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def split(kind, inputs):
    """The tokens to be decoded, their mask, and the encoder's inputs."""
    source = dict(inputs)
    name = "input_ids" if kind == "gpt2" else "decoder_input_ids"
    ids = source.pop(name)
    mask = source.pop(name.replace("input_ids", "attention_mask"), None)
    return ids, jnp.ones_like(ids) if mask is None else mask, source


def start(model, rows, length, source):
    encoded = (model.encode(**source),) if source else ()
    mask = (source["attention_mask"],) if "attention_mask" in source else ()
    return model.start_cache(rows, length, *encoded, *mask)


def generate(model, ids, mask, source, prompt, room):
    """Logits of `prompt` tokens at once, then of one after the other; and the last cache."""
    graph, params = nnx.split(model)

    @jax.jit
    def run(params, ids, mask, source):
        model = nnx.merge(graph, params)
        cache = start(model, ids.shape[0], room, source)
        first, cache = model.decode(ids[:, :prompt], cache, mask[:, :prompt])

        def step(cache, token):
            logits, cache = model.decode(token[:, None], cache)
            return cache, logits[:, 0]

        cache, rest = jax.lax.scan(step, cache, ids[:, prompt:].T)
        return jnp.concatenate([first, rest.swapaxes(0, 1)], axis=1), cache

    return run(params, ids, mask, source)


@pytest.mark.parametrize("kind", HEADS)
def test_steps_equal_all_at_once(kind):
    inputs, expected, _ = stored(kind)
    ids, mask, source = split(kind, inputs)
    if kind == "gpt2":
        # There is no padding on the right: real tokens follow the prompt.
        source, ids, mask, expected = {}, ids[::2], mask[::2], expected[::2]
    if kind in ("t5", "flan_t5"):
        source = {name: value[1:] for name, value in source.items()}
        ids, mask, expected = ids[1:], mask[1:], expected[1:]
    rows, time = ids.shape
    # Unused slots must not matter.
    logits, cache = generate(load(kind), ids, mask, source, 5, time + 2)
    assert logits.dtype == jnp.float32
    real = np.asarray(mask) == 1
    assert real.all() == (kind == "whisper")
    assert difference(np.asarray(logits)[real], expected[real]) < 1e-4
    assert int(cache.filled) == time
    np.testing.assert_array_equal(cache.mask, np.pad(np.asarray(mask), ((0, 0), (0, 2))))
    assert {array.shape[:3:2] for array in (*cache.keys, *cache.values)} == {(rows, time + 2)}


def test_rows_side_by_side_share_a_source():
    inputs, _, _ = stored("t5")
    ids, _, source = split("t5", inputs)
    ids = jnp.concatenate([ids, ids[:, ::-1]])[:, :4]  # six rows, two of each source
    twice = {name: jnp.repeat(value, 2, axis=0) for name, value in source.items()}
    model, ones = tiny("t5"), jnp.ones_like(ids)
    one, shared = generate(model, ids, ones, source, 3, 4)
    two, repeated = generate(model, ids, ones, twice, 3, 4)
    assert (shared.cross_keys[0].shape[0], repeated.cross_keys[0].shape[0]) == (3, 6)
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_mask_left_out_means_real_tokens():
    graph, params = nnx.split(tiny("gpt2"))
    ids = jnp.array([[5, 6, 7]], jnp.int32)

    @jax.jit
    def both(params):
        model = nnx.merge(graph, params)
        return model(ids), *model.decode(ids, model.start_cache(1, 4))

    expected, logits, cache = both(params)
    assert cache.mask.tolist() == [[1, 1, 1, 0]]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_a_cache_has_the_dtype_of_the_weights():
    inputs, _, _ = stored("t5")
    ids, _, source = split("t5", inputs)
    graph, params = nnx.split(tiny("t5"))
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)

    def generate(params):
        model = nnx.merge(graph, params)
        cache = start(model, 3, 4, source)
        return (cache, *model.decode(ids[:, :2], cache))

    before, logits, after = jax.eval_shape(generate, half)
    assert logits.dtype == jnp.float32
    for name in ("keys", "values", "cross_keys", "cross_values"):
        arrays = (*getattr(before, name), *getattr(after, name))
        assert {array.dtype for array in arrays} == {jnp.dtype(jnp.bfloat16)}
