"""The encoder family: logits against stored arrays from PyTorch, dropout, gradients, new weights.

`tests/arrays` is made by `tests/parity/make_arrays.py`.
"""

import copy
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.paths import ARRAYS

from stages import models
from stages.core.errors import InputError
from stages.models.dropout import dropout, dropout_key, hash_bits
from stages.models.parameters import dotted, named_parameters

TYPES = ("bert", "roberta", "distilbert")
HEADS = ("masked_lm", "sequence_classification", "token_classification", "question_answering")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(scope="module", autouse=True)
def quick_compiles():
    """Tiny matrix products take XLA on CPU long to compile; fast code is not the point here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def stored(model_type):
    """Load a stored batch, and the logits by head: `(inputs, {head: [array, ...]})`."""
    arrays = dict(np.load(ARRAYS / model_type / "expected.npz"))
    inputs = {name: jnp.asarray(arrays[name]) for name in INPUTS if name in arrays}
    logits = {h: [arrays[k] for k in sorted(arrays) if k.startswith(f"{h}.")] for h in HEADS}
    return inputs, logits


def tiny(model_type, **changes):
    config = models.load_config(ARRAYS / model_type)
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def flat(model):
    return {dotted(path): np.asarray(param[...]) for path, param in named_parameters(model)}


def logits_list(output):
    return [np.asarray(part) for part in (output if isinstance(output, tuple) else (output,))]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("model_type", TYPES)
def test_logits_equal_pytorch(model_type, head):
    inputs, expected = stored(model_type)
    model = models.from_pretrained(ARRAYS / model_type, head)
    ours = logits_list(model(**inputs))
    mask = np.asarray(inputs["attention_mask"]) == 1
    assert len(ours) == len(expected[head]) == (2 if head == "question_answering" else 1)
    for a, b in zip(ours, expected[head], strict=True):
        assert a.dtype == np.float32
        assert a.shape == b.shape
        if head != "sequence_classification":
            a, b = a[mask], b[mask]
        assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.mark.parametrize("model_type", TYPES)
def test_padding_does_not_change_the_rest(model_type):
    inputs, _ = stored(model_type)
    model = models.from_pretrained(ARRAYS / model_type, "token_classification")
    whole = np.asarray(model(**inputs))
    short = np.asarray(model(**{name: value[1:2, :6] for name, value in inputs.items()}))
    np.testing.assert_allclose(whole[1, :6], short[0], rtol=1e-5, atol=1e-6)


def test_a_row_of_nothing_but_padding_is_finite():
    model = models.from_config(tiny("roberta"), "masked_lm")
    ids = jnp.full((2, 4), 1, jnp.int32)
    assert np.isfinite(model(ids, jnp.zeros_like(ids))).all()


def test_no_mask_attends_everywhere():
    model = models.from_config(tiny("bert"), "masked_lm")
    ids = jnp.arange(8, dtype=jnp.int32).reshape(2, 4)
    np.testing.assert_array_equal(model(ids), model(ids, jnp.ones_like(ids), jnp.zeros_like(ids)))


@pytest.mark.parametrize("model_type", ["roberta", "distilbert"])
def test_token_types_are_ignored_by_models_without_them(model_type):
    model = models.from_config(tiny(model_type), "masked_lm")
    ids = jnp.arange(3, 9, dtype=jnp.int32)[None]
    np.testing.assert_array_equal(model(ids), model(ids, token_type_ids=jnp.ones_like(ids)))


def test_masked_places_can_be_scored_alone():
    inputs, _ = stored("bert")
    model = models.from_pretrained(ARRAYS / "bert", "masked_lm")
    rows, places = jnp.array([0, 0, 1]), jnp.array([2, 5, 1])
    hidden = model.hidden(**inputs)
    assert hidden.shape == (*inputs["input_ids"].shape, 16)
    few = model.logits(hidden[rows, places])
    np.testing.assert_allclose(few, model(**inputs)[rows, places], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("remat", [False, True])
def test_the_last_layer_can_compute_some_positions_alone(remat):
    inputs, _ = stored("bert")
    model = models.from_pretrained(ARRAYS / "bert", "masked_lm")
    model.remat = remat
    everywhere = model.hidden(**inputs)
    positions = jnp.array([[3, 0, 3]] * len(everywhere), jnp.int32)
    few = model.hidden(**inputs, positions=positions)
    expected = jnp.take_along_axis(everywhere, positions[..., None], axis=1)
    np.testing.assert_allclose(few, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(few, everywhere[:, :3], rtol=1e-5, atol=1e-6)


def test_too_many_tokens_and_unknown_tokens_do_not_pass_silently():
    config = tiny("roberta")
    assert models.max_positions(config) == config.max_position_embeddings - 2
    assert models.max_positions(tiny("bert")) == models.max_positions(tiny("distilbert")) == 16
    model = models.from_config(config, "masked_lm")
    assert np.isfinite(model(jnp.full((1, 14), 5, jnp.int32))).all()
    with pytest.raises(ValueError, match="15 tokens, but the model has 14"):
        model(jnp.full((1, 15), 5, jnp.int32))
    assert np.isnan(model(jnp.full((1, 3), 40, jnp.int32))).all()


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("width", [64, 65])
def test_dropout_statistics(rate, width):
    x = jnp.ones((50, 40, width))
    y = np.asarray(dropout(x, rate, nnx.Rngs(dropout=3)))
    assert y.shape == x.shape
    assert (y == 0).mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / x.size))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(1 - rate)}
    # Neighbours on any axis, and the same index under another key, agree only by chance.
    gone, other = y == 0, np.asarray(dropout(x, rate, nnx.Rngs(dropout=4))) == 0
    both = [gone[..., 1:] & gone[..., :-1], gone[:, 1:] & gone[:, :-1], gone[1:] & gone[:-1]]
    for pair in (*both, gone & other):
        assert pair.mean() == pytest.approx(rate**2, abs=0.005)


def keys_of_seeds():
    return [dropout_key(seed) for seed in range(20)]


def keys_of_steps():
    return [jax.random.fold_in(dropout_key(7), step) for step in range(20)]


def keys_of_layers():
    rngs = nnx.Rngs(dropout=jax.random.fold_in(dropout_key(7), 3))
    return [rngs.dropout() for _ in range(20)]


def keys_of_a_split():
    return list(jax.random.split(dropout_key(7), (4, 5)).reshape(-1))


@pytest.mark.parametrize("keys", [keys_of_seeds, keys_of_steps, keys_of_layers, keys_of_a_split])
def test_hashed_bits_are_even(keys):
    words = np.stack([hash_bits(key, (100, 100)) for key in keys()])
    bits = np.unpackbits(words.view(np.uint8)).reshape(20, -1, 32)
    spread = (bits.mean(1) - 0.5) / (0.5 / 100)  # 640 shares in their own standard deviations
    assert np.abs(spread).max() < 4.5
    assert spread.std() == pytest.approx(1, abs=0.1)
    assert len(np.unique(words)) > words.size * 0.9999
    # Two keys agree in half of their bits, whether they are neighbours or not.
    for apart in (1, 2, 7):
        equal = np.unpackbits((words[apart:] ^ words[:-apart]).view(np.uint8)).mean()
        assert equal == pytest.approx(0.5, abs=0.001)


def test_keys_made_of_keys_are_all_different():
    steps = jax.vmap(jax.random.fold_in, (None, 0))(dropout_key(0), jnp.arange(200))
    both = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(steps, jnp.arange(200))
    words = np.asarray(jax.random.key_data(both)).reshape(-1, 2)
    assert len(np.unique(words, axis=0)) == 40_000
    # Each word is as good as random: 40,000 draws of 2^32 collide about 0.2 times.
    assert all(len(np.unique(word)) >= 39_996 for word in words.T)


def test_a_dropout_key_gives_bits_as_jax_asks_for_them():
    key = dropout_key(1)
    np.testing.assert_array_equal(jax.random.bits(key, (3, 5)), hash_bits(key, (3, 5)))
    with pytest.raises(NotImplementedError, match="64 random bits"), jax.enable_x64(True):
        jax.random.bits(key, (3,), jnp.uint64)


def test_dropout_is_off_without_rngs_and_at_rate_zero():
    x = jnp.ones((4, 4))
    assert dropout(x, 0.5, None) is x
    assert dropout(x, 0.0, nnx.Rngs(dropout=0)) is x


@pytest.mark.parametrize("model_type", TYPES)
def test_a_key_decides_the_dropout(model_type):
    model = models.from_config(tiny(model_type), "sequence_classification")
    ids = jnp.arange(3, 9, dtype=jnp.int32)[None]
    first, again = (np.asarray(model(ids, rngs=nnx.Rngs(dropout=1))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, model(ids, rngs=nnx.Rngs(dropout=2)))
    assert not np.array_equal(first, model(ids))
    np.testing.assert_array_equal(model(ids), model(ids))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "model_type",
    [it if it == "bert" else pytest.param(it, marks=pytest.mark.slow) for it in TYPES],
)
def test_gradient_reaches_every_parameter(model_type, head):
    inputs, _ = stored(model_type)
    config = tiny(model_type, num_hidden_layers=1)
    graph, state = nnx.split(models.from_config(config, head))

    @jax.jit
    def gradient(state, key):
        def loss(state):
            model = nnx.merge(graph, state)
            parts = model(**inputs, rngs=nnx.Rngs(dropout=key))
            # A plain sum of squares; a norm right before it would have no gradient.
            return sum(jnp.square(part - 1).sum() for part in jax.tree.leaves(parts))

        return jax.grad(loss)(state)

    for path, grad in nnx.to_flat_state(gradient(state, jax.random.key(0))):
        # A bias of all keys shifts all scores of a query equally, which softmax ignores.
        if path[-2:] != ("key", "bias"):
            assert np.abs(grad[...]).max() > 1e-7, path


def test_tied_decoder_is_the_embedding():
    tied = models.from_config(tiny("bert"), "masked_lm")
    free = models.from_config(tiny("bert", tie_word_embeddings=False), "masked_lm")
    assert "head.decoder.kernel" not in flat(tied)
    assert flat(free)["head.decoder.kernel"].shape == (16, 40)
    ids = jnp.array([[5, 6]], jnp.int32)
    before = np.asarray(tied.logits(jnp.ones(16)))
    table = tied.word_embeddings.embedding
    table.set_value(table[...].at[7].add(1.0))
    after = np.asarray(tied.logits(jnp.ones(16)))
    assert np.flatnonzero(before != after).tolist() == [7]
    assert free(ids).shape == (1, 2, 40)


def test_number_of_labels():
    ids = jnp.array([[5, 6, 7]], jnp.int32)
    config = tiny("distilbert", num_labels=5)
    assert models.from_config(config, "sequence_classification")(ids).shape == (1, 5)
    assert models.from_config(config, "token_classification")(ids).shape == (1, 3, 5)
    model = models.from_config(config, "question_answering")
    assert [part.shape for part in model(ids)] == [(1, 3), (1, 3)]
    # PyTorch's class needs two labels; the caller's configuration is unchanged.
    assert (model.config.num_labels, config.num_labels) == (2, 5)


def test_new_weights_follow_the_seed_and_not_each_other():
    config = tiny("bert", vocab_size=500)
    one, two, other = (flat(models.from_config(config, "masked_lm", seed=s)) for s in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["layers.0.query.kernel"], other["layers.0.query.kernel"])
    assert not np.array_equal(one["layers.0.query.kernel"], one["layers.1.query.kernel"])
    tagger = flat(models.from_config(config, "token_classification", seed=1))
    assert all(np.array_equal(one[name], tagger[name]) for name in one if "head" not in name)


def test_new_weights_are_spread_as_the_configuration_says():
    config = tiny("roberta", vocab_size=500, initializer_range=0.05)
    weights = flat(models.from_config(config, "masked_lm"))
    table = weights["word_embeddings.embedding"]
    assert np.flatnonzero((table == 0).all(1)).tolist() == [config.pad_token_id]
    assert table.std() == pytest.approx(0.05, rel=0.03)
    for name, value in weights.items():
        assert value.dtype == np.float32
        if name.endswith("kernel"):
            assert value.std() == pytest.approx(0.05, rel=0.2)
        elif not name.endswith("embedding"):
            assert (value == (1 if name.endswith("scale") else 0)).all()


@pytest.mark.parametrize("model_type", TYPES)
def test_positions_may_start_as_sinusoids(model_type):
    config = tiny(model_type, position_embedding_init="sinusoidal", max_position_embeddings=64)
    table = flat(models.from_config(config, "masked_lm"))["position_embeddings.embedding"]
    first = 2 if model_type == "roberta" else 0
    rows = table[first:]
    # Every row has the same norm, as each sine is next to its cosine.
    np.testing.assert_allclose(np.sqrt(np.square(rows).mean(1)), config.initializer_range, 1e-5)
    scale = config.initializer_range * math.sqrt(2)
    np.testing.assert_allclose(
        rows[3, :2], scale * np.array([math.sin(3 + first), math.cos(3 + first)]), 1e-5
    )
    if first:
        assert (table[config.pad_token_id] == 0).all()


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_"),
        ("bert", {"position_embedding_init": "rotary"}, "position_embedding_init 'rotary'"),
        ("bert", {"hidden_act": "mish"}, "activation 'mish' is not supported; use one of: gelu,"),
        ("distilbert", {"activation": "mish"}, "activation 'mish'"),
        ("bert", {"is_decoder": True}, "is_decoder"),
        ("bert", {"num_attention_heads": 3}, "width 16 is not a multiple of 3 attention heads"),
        ("roberta", {"pad_token_id": None}, "pad_token_id is None"),
        ("bert", {"pad_token_id": 40}, "pad_token_id is 40 with vocab_size 40"),
    ],
)
def test_configurations_that_are_refused(model_type, changes, message):
    with pytest.raises(InputError, match=message):
        models.from_config(tiny(model_type, **changes), "masked_lm")


def test_a_head_or_family_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="head 'causal_lm' is not one of bert's: masked_lm, "):
        models.from_config(tiny("bert"), "causal_lm")
    config = copy.deepcopy(tiny("bert"))
    config.model_type = "bloom"
    with pytest.raises(InputError, match="model_type 'bloom' is not supported; supported: bert, "):
        models.from_config(config, "masked_lm")
