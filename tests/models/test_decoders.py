"""GPT-2, T5 and Whisper: logits against stored arrays from PyTorch, dropout, gradients, dtype.

`tests/arrays` is made by `tests/parity/make_decoder_arrays.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.decoders import (
    ARRAYS,
    HEADS,
    call,
    computed_again,
    difference,
    equations,
    load,
    stored,
    tiny,
)

from stages import models
from stages.core.errors import InputError
from stages.models.layers import RMSNorm
from stages.models.parameters import FrozenParam, dotted, named_parameters
from stages.models.t5.stack import Stack, bucket_table
from stages.models.whisper.stacks import sinusoids


@pytest.fixture(scope="module", autouse=True)
def quick_compiles():
    """Tiny matrix products take XLA on CPU long to compile; fast code is not the point here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(params=HEADS)
def kind(request):
    return request.param


def test_logits_equal_pytorch(kind):
    inputs, expected, real = stored(kind)
    ours = call(load(kind), inputs)
    assert ours.dtype == np.float32
    assert ours.shape == expected.shape
    assert difference(ours[real], expected[real]) < 1e-4


def test_padding_on_either_side_does_not_change_the_rest():
    inputs, _, _ = stored("gpt2")
    model = tiny("gpt2")
    whole = call(model, inputs)
    for row, real in ((1, slice(6)), (2, slice(4, 13))):
        alone = call(model, {"input_ids": inputs["input_ids"][row : row + 1, real]})
        np.testing.assert_allclose(whole[row, real], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["t5", "whisper"])
def test_decoder_inputs_are_the_labels_shifted(kind):
    model = tiny(kind)
    start, pad = {"t5": (0, 0), "whisper": (2, 0)}[kind]
    labels = jnp.array([[5, 6, 1, -100], [7, 1, -100, -100]], jnp.int32)
    shifted = model.decoder_inputs(labels)
    assert shifted.dtype == jnp.int32
    assert shifted.tolist() == [[start, 5, 6, 1], [start, 7, 1, pad]]


def test_distances_fall_into_pytorchs_buckets():
    arrays = np.load(ARRAYS / "t5" / "expected.npz")
    config = models.load_config(ARRAYS / "t5")
    config.relative_attention_num_buckets = 32
    config.relative_attention_max_distance = 128
    for name, decoder in (("encoder_buckets", False), ("decoder_buckets", True)):
        stack = Stack(config, 1, decoder=decoder)
        # The bias of each bucket is its number; one query at 200 sees all of -200 to 200.
        numbers = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None], (32, 3))
        stack.positions.embedding.set_value(jnp.asarray(numbers))
        found = stack.position_bias(jnp.array([200]), jnp.arange(401))
        assert found.shape == (1, 3, 1, 401)
        np.testing.assert_array_equal(found[0, 0, 0], arrays[name])
    # By hand: four distances alone; the next begin at 4, 4 * 3^(1/4) = 5.3, 6.9 and 9.1.
    assert bucket_table(8, 12).tolist() == [0, 1, 2, 3, 4, 4, 5, 6, 6, 6, 7, 7, 7]


def test_rms_norm_by_hand():
    norm = RMSNorm(2, eps=0.0, scale=2.0)
    norm.scale.set_value(jnp.array([2.0, 1.0]))
    # The root of (9 + 16) / 2 is 5 / sqrt(2).
    expected = np.array([[2 * 3, 4]]) * np.sqrt(2) / 5
    np.testing.assert_allclose(norm(jnp.array([[3.0, 4.0]])), expected, rtol=1e-6)


def test_encoder_positions_are_sines_and_then_cosines():
    table = sinusoids(np.random.default_rng(0), (4, 6))
    angles = 3 * np.array([1, 1e-2, 1e-4])
    np.testing.assert_allclose(table[3], [*np.sin(angles), *np.cos(angles)], rtol=1e-6)


def test_a_tied_head_of_t5_is_scaled():
    model = tiny("t5", dropout_rate=0.0)
    x = jnp.ones((1, 16))
    table = np.asarray(model.word_embeddings.embedding[...])
    np.testing.assert_allclose(model.logits(x), table.sum(1)[None] / 4, rtol=1e-5, atol=1e-6)
    assert not hasattr(model, "head")
    assert models.from_config(model.config, "seq2seq_lm").config.tie_word_embeddings
    untied = tiny("flan_t5")
    assert not untied.config.tie_word_embeddings
    kernel = np.asarray(untied.head.kernel[...])
    np.testing.assert_allclose(untied.logits(x), kernel.sum(0)[None], rtol=1e-5, atol=1e-5)


def test_a_key_decides_the_dropout(kind):
    inputs, _, _ = stored(kind)
    graph, params = nnx.split(tiny(kind))

    @jax.jit
    def apply(params, key):
        return nnx.merge(graph, params)(**inputs, rngs=nnx.Rngs(dropout=key))

    one, again, two = (np.asarray(apply(params, jax.random.key(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, call(nnx.merge(graph, params), inputs))


def new_model(kind):
    """A new model of one layer, and its inputs."""
    if kind != "bert":
        return tiny(kind), stored(kind)[0]
    config = models.load_config(ARRAYS / "bert")
    config.num_hidden_layers = 1
    arrays = np.load(ARRAYS / "bert" / "expected.npz")
    inputs = {name: jnp.asarray(arrays[name]) for name in ("input_ids", "attention_mask")}
    return models.from_config(config, "masked_lm"), inputs


def gradients(model, inputs):
    """Gradients by path under dropout, and the number of rematerialised parts of the loss."""
    graph, params = nnx.split(model)

    def loss(params, key):
        logits = nnx.merge(graph, params)(**inputs, rngs=nnx.Rngs(dropout=key))
        return jnp.square(logits - 1).mean()

    key = jax.random.key(0)
    again = computed_again(jax.make_jaxpr(loss)(params, key).jaxpr)
    grads = nnx.to_flat_state(jax.jit(jax.grad(loss))(params, key))
    return {dotted(path): np.asarray(g[...]) for path, g in grads}, len(again)


@pytest.mark.parametrize(
    "kind",
    ["gpt2", *(pytest.param(it, marks=pytest.mark.slow) for it in ("bert", "flan_t5", "whisper"))],
)
def test_gradients_reach_all_and_stay_when_layers_are_computed_again(kind):
    model, inputs = new_model(kind)
    plain, parts = gradients(model, inputs)
    for path, grad in plain.items():
        if path == "encoder.positions.embedding" and kind == "whisper":
            assert not grad.any()
        elif not path.endswith("key.bias"):  # moves all scores of a query alike
            assert np.abs(grad).max() > 1e-9, path
    models.remat_layers(model)
    remat, layers = gradients(model, inputs)
    # A layer is one such part, instead of its gelu and its attention.
    assert 0 < layers < parts
    assert remat.keys() == plain.keys()
    scale = max(np.abs(grad).max() for grad in plain.values())
    for path, grad in plain.items():
        np.testing.assert_allclose(remat[path], grad, rtol=1e-5, atol=1e-6 * scale)


def inner_functions(jaxpr, name):
    """The functions of this name that a traced program calls, one entry a call."""
    return [one.params["jaxpr"] for one in equations(jaxpr) if one.params.get("name") == name]


@pytest.mark.parametrize("kind", [*HEADS, "bert"])
def test_layers_of_one_structure_are_traced_once(kind):
    """Under dropout, and their gradients too."""
    config = models.load_config(ARRAYS / kind)
    for name in ("n_layer", "num_hidden_layers", "num_layers", "num_decoder_layers",
                 "encoder_layers", "decoder_layers"):  # fmt: skip
        if hasattr(config, name):
            setattr(config, name, 3)
    if kind == "bert":
        model, inputs = models.from_config(config, "masked_lm"), new_model(kind)[1]
    else:
        model, inputs = models.from_config(config, HEADS[kind]), stored(kind)[0]
    graph, params = nnx.split(model)

    def loss(params):
        rngs = nnx.Rngs(dropout=jax.random.key(0))
        return nnx.merge(graph, params)(**inputs, rngs=rngs).mean()

    forward = inner_functions(jax.make_jaxpr(loss)(params).jaxpr, "_run_layer")
    stacks = 1 if kind in ("gpt2", "bert") else 2
    assert len(forward) == 3 * stacks
    assert len(set(map(id, forward))) == stacks
    both = inner_functions(jax.make_jaxpr(jax.grad(loss))(params).jaxpr, "_run_layer")
    assert len(both) == 2 * len(forward)
    assert len(set(map(id, both))) == 2 * stacks


def test_fixed_tables_are_marked_for_the_optimiser():
    fixed = [
        dotted(path) for path, p in named_parameters(tiny("whisper")) if isinstance(p, FrozenParam)
    ]
    assert fixed == ["encoder.positions.embedding"]


def dtypes(jaxpr, *names):
    """The dtypes that go into the operations of these names, inner functions included."""
    for equation in equations(jaxpr):
        if equation.primitive.name in names:
            yield from (str(variable.aval.dtype) for variable in equation.invars)


@pytest.mark.parametrize("kind", [*HEADS, "bert"])
def test_bfloat16_stays_bfloat16(kind):
    model, inputs = new_model(kind)
    graph, params = nnx.split(model)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)

    def loss(params):
        model = nnx.merge(graph, params)
        hidden = model.hidden(**inputs, rngs=nnx.Rngs(dropout=jax.random.key(0)))
        assert hidden.dtype == jnp.bfloat16
        logits = model.logits(hidden)
        assert logits.dtype == jnp.float32
        return jnp.square(logits).mean()

    forward, both = (jax.make_jaxpr(f)(half).jaxpr for f in (loss, jax.grad(loss)))
    # Matrix products there and back in bfloat16; norms and softmax in float32.
    assert set(dtypes(both, "dot_general")) == {"bfloat16"}
    assert set(dtypes(forward, "rsqrt", "exp")) == {"float32"}


def test_new_weights_follow_the_seed(kind):
    config = models.load_config(ARRAYS / kind)
    one, two, other = (
        {dotted(path): np.asarray(p[...]) for path, p in named_parameters(model)}
        for model in (models.from_config(config, HEADS[kind], seed=seed) for seed in (1, 1, 2))
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    kernels = [name for name in one if name.endswith("kernel")]
    assert not any(np.array_equal(one[name], other[name]) for name in kernels)
    assert len({one[name].tobytes() for name in kernels}) == len(kernels)


def test_new_weights_are_spread_as_the_configuration_says():
    def std(param):
        return float(np.asarray(param[...]).std())

    layer = tiny("gpt2", n_embd=64, initializer_range=0.05, n_layer=8).layers[0]
    assert std(layer.attention.query_key_value.kernel) == pytest.approx(0.05, rel=0.05)
    # Two sums in each of eight layers: 0.05 / 4.
    assert std(layer.attention.projection.kernel) == pytest.approx(0.0125, rel=0.05)
    assert std(layer.feed_forward.contract.kernel) == pytest.approx(0.0125, rel=0.05)

    model = tiny("flan_t5", d_model=64, d_kv=4, d_ff=100, num_heads=16, initializer_factor=0.5)
    layer = model.decoder.layers[0]
    assert std(model.word_embeddings.embedding) == pytest.approx(0.5, rel=0.05)
    assert std(model.head.kernel) == pytest.approx(0.5, rel=0.05)
    assert std(layer.cross.query.kernel) == pytest.approx(0.5 / 16, rel=0.05)
    assert std(layer.attention.key.kernel) == pytest.approx(0.5 / 8, rel=0.05)
    assert std(layer.feed_forward.contract.kernel) == pytest.approx(0.5 / 10, rel=0.05)
    assert (layer.cross_norm.scale[...] == 0.5).all()

    model = tiny("whisper", d_model=64, init_std=0.03)
    assert std(model.encoder.convolutions[1].kernel) == pytest.approx(0.03, rel=0.05)
    assert (model.decoder.tokens.embedding[...][0] == 0).all()
    assert (model.decoder.tokens.embedding[...][1:] != 0).all()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is set"),
        ("gpt2", {"activation_function": "mish"}, "activation 'mish' is not supported"),
        ("gpt2", {"n_head": 3}, "n_embd 16 is not a multiple of 3 attention heads"),
        ("t5", {"is_encoder_decoder": False}, "is_encoder_decoder is false"),
        ("t5", {"feed_forward_proj": "gated-mish"}, "feed_forward_proj 'gated-mish' is not supp"),
        ("t5", {"decoder_start_token_id": None}, "decoder_start_token_id is None"),
        ("t5", {"pad_token_id": 40}, "pad_token_id is 40 with vocab_size 40"),
        ("t5", {"relative_attention_num_buckets": 7}, "relative_attention_num_buckets 7 with"),
        ("whisper", {"is_encoder_decoder": False}, "is_encoder_decoder is false"),
        ("whisper", {"encoder_layerdrop": 0.1}, "encoder_layerdrop is set"),
        ("whisper", {"decoder_layerdrop": 0.1}, "decoder_layerdrop is set"),
        ("whisper", {"activation_function": "mish"}, "activation 'mish' is not supported"),
        ("whisper", {"decoder_attention_heads": 3}, "d_model 16 is not a multiple of 3"),
        ("whisper", {"d_model": 15}, "d_model is 15, but positions are half sines"),
        ("whisper", {"pad_token_id": None}, "pad_token_id is None"),
    ],
)
def test_configurations_that_are_refused(kind, changes, message):
    with pytest.raises(InputError, match=message):
        tiny(kind, **changes)


def test_what_does_not_fit_does_not_pass_silently():
    assert models.max_positions(models.load_config(ARRAYS / "gpt2")) == 16
    assert models.max_positions(models.load_config(ARRAYS / "whisper")) == 16
    assert models.max_positions(models.load_config(ARRAYS / "t5")) > 10**9
    ids = jnp.full((1, 17), 5, jnp.int32)
    with pytest.raises(ValueError, match="17 tokens, but the model has 16"):
        tiny("gpt2")(ids)
    whisper = tiny("whisper")
    features = jnp.zeros((1, 5, 24))
    with pytest.raises(ValueError, match="17 tokens, but the decoder has 16"):
        whisper(features, ids)
    with pytest.raises(ValueError, match=r"are \(5, 22\) of mels .* takes \(5, 24\); pad with"):
        whisper(features[:, :, :22], ids[:, :4])
    for model in (tiny("gpt2"), whisper):
        with pytest.raises(ValueError, match="17 tokens, but the model has 16 positions"):
            model.start_cache(1, 17, *([features] if model is whisper else []))
