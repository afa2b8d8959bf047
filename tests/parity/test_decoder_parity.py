"""The same logits as PyTorch, both ways, on random GPT-2, T5, Flan-T5 and Whisper models.

Needs torch (group `parity`): `pytest -m parity`. Differences are relative: the largest absolute
difference over the largest absolute logit, at real tokens.
"""

import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("torch", reason="the comparison with PyTorch needs torch: group `parity`")

import torch
import transformers
from parity.random_decoders import HEADS, batch, config, real, torch_logits, torch_model
from parity.random_models import GENERATING
from transformers.models.t5.modeling_t5 import T5Attention

from stages import models
from stages.models import gpt2, t5, whisper
from stages.models.parameters import named_parameters
from stages.models.t5.stack import bucket_table

pytestmark = pytest.mark.parity
TOLERANCE = 1e-4
FAMILIES = {"gpt2": gpt2, "t5": t5, "flan_t5": t5, "whisper": whisper}


def flax_logits(model, values):
    return np.asarray(model(**{name: jnp.asarray(value) for name, value in values.items()}))


def difference(ours, theirs, mask):
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs)[mask].max() / np.abs(theirs[mask]).max()


def compare(kind, folder, **changes):
    """Save a random PyTorch model, load it, and return the difference of the logits."""
    theirs = torch_model(config(kind, **changes), kind)
    theirs.save_pretrained(folder)
    ours = models.from_pretrained(folder, HEADS[kind])
    values = batch(kind)
    return difference(flax_logits(ours, values), torch_logits(theirs, values), real(values))


@pytest.fixture(params=HEADS)
def kind(request):
    return request.param


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_both_ways(kind, tied, tmp_path, page):
    if "t5" in kind and tied != (kind == "t5"):
        pytest.skip("the version decides whether a T5 is tied")
    settings = config(kind, tie_word_embeddings=tied)
    values = batch(kind)
    mask = real(values)

    theirs = torch_model(settings, kind)
    expected = torch_logits(theirs, values)
    theirs.save_pretrained(tmp_path / "torch")
    ours = models.from_pretrained(tmp_path / "torch", HEADS[kind])
    subject = f"{kind} {HEADS[kind]}{'' if tied or kind == 'flan_t5' else ' untied'}"
    page.compare(subject, "logits in", difference(flax_logits(ours, values), expected, mask))

    models.save_pretrained(ours, tmp_path / "flax")
    auto = getattr(transformers, GENERATING[HEADS[kind]])
    back, report = auto.from_pretrained(tmp_path / "flax", output_loading_info=True)
    assert not any(report.values()), report
    assert type(back) is type(theirs)
    assert back.config.architectures == [type(theirs).__name__]
    assert back.generation_config.to_dict() == theirs.generation_config.to_dict()
    # The same numbers on both sides, and through PyTorch again not one bit changed.
    again = torch_logits(back, values)
    page.compare(subject, "logits out", difference(flax_logits(ours, values), again, mask))
    assert difference(again, expected, mask) == 0


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("gpt2", {"scale_attn_weights": False}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "n_inner": 20}),
        ("gpt2", {"activation_function": "relu", "reorder_and_upcast_attn": True}),
        ("t5", {"feed_forward_proj": "gated-silu"}),
        ("t5", {"feed_forward_proj": "gelu"}),
        ("flan_t5", {"relative_attention_max_distance": 128, "num_layers": 2}),
        ("whisper", {"activation_function": "relu", "encoder_attention_heads": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_options(kind, changes, tmp_path):
    assert compare(kind, tmp_path, **changes) < TOLERANCE


def test_half_weights_and_shards(kind, tmp_path):
    theirs = torch_model(config(kind), kind).bfloat16()
    theirs.save_pretrained(tmp_path, max_shard_size="8KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    ours = models.from_pretrained(tmp_path, HEADS[kind])
    values = batch(kind)
    expected = torch_logits(theirs.float(), values)
    assert difference(flax_logits(ours, values), expected, real(values)) < TOLERANCE


@pytest.mark.parametrize("kind", ["gpt2", "whisper"])
def test_a_bare_model(kind, tmp_path):
    theirs = torch_model(config(kind), kind)
    theirs.base_model.save_pretrained(tmp_path)
    ours = models.from_pretrained(tmp_path, HEADS[kind])
    values = batch(kind)
    expected = torch_logits(theirs, values)
    assert difference(flax_logits(ours, values), expected, real(values)) < TOLERANCE


@pytest.mark.parametrize(
    ("count", "farthest"), [(32, 128), (8, 12), (32, 100), (64, 256), (16, 128), (4, 20)]
)
def test_buckets(count, farthest):
    distance = torch.arange(-2 * farthest, 1)
    expected = T5Attention._relative_position_bucket(
        distance, bidirectional=False, num_buckets=count, max_distance=farthest
    )
    ours = bucket_table(count, farthest)[np.minimum(-distance.numpy(), farthest)]
    np.testing.assert_array_equal(ours, expected.numpy())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_new_weights_are_spread_as_in_pytorch(kind, tied):
    if kind == "flan_t5":
        pytest.skip("today's PyTorch class starts every T5 tied")
    changes = {"initializer_factor": 0.5} if kind == "t5" else {"tie_word_embeddings": tied}
    settings = config(kind, vocab_size=2000, **changes)
    auto = getattr(transformers, GENERATING[HEADS[kind]])
    theirs = auto.from_config(settings).state_dict()
    ours = models.from_config(settings, HEADS[kind])
    names = FAMILIES[kind].names(settings, HEADS[kind])
    for path, param in named_parameters(ours):
        key, transposed = names.key(path)
        mine = np.asarray(param[...])
        mine = mine.T if transposed else mine
        there = theirs[key].numpy()
        assert mine.shape == there.shape, key
        if key == "model.encoder.embed_positions.weight":
            np.testing.assert_allclose(mine, there, atol=1e-5)
        elif "weight" in key and mine.ndim > 1:
            assert mine.std() == pytest.approx(there.std(), rel=6 / mine.size**0.5), key
            if mine.ndim == 2:
                assert np.array_equal((mine == 0).all(1), (there == 0).all(1)), key
        else:
            assert np.array_equal(mine, there), key
