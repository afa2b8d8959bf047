"""The same logits as PyTorch, both ways, on random models of every architecture and head.

Needs torch (group `parity`): `pytest -m parity`. Differences are relative: the largest absolute
difference over the largest absolute logit, where the mask is on.
"""

import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("torch", reason="the comparison with PyTorch needs torch: group `parity`")

import torch
import transformers
from parity.random_models import HEADS, TYPES, batch, config, torch_logits, torch_model

from stages import models
from stages.models.bert import model as encoder
from stages.models.parameters import named_parameters

pytestmark = pytest.mark.parity
TOLERANCE = 1e-4


def flax_logits(model, values):
    output = model(**{name: jnp.asarray(value) for name, value in values.items()})
    return [np.asarray(part) for part in (output if isinstance(output, tuple) else (output,))]


def difference(ours, theirs, mask):
    """Compare lists of logits; positions under padding are left out."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        if a.shape[:2] == mask.shape:
            a, b = a[mask == 1], b[mask == 1]
        worst = max(worst, np.abs(a - b).max() / np.abs(b).max())
    return worst


@pytest.fixture(params=TYPES)
def model_type(request):
    return request.param


@pytest.fixture(params=HEADS)
def head(request):
    return request.param


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_both_ways(model_type, head, tied, tmp_path, page):
    if not tied and head != "masked_lm":
        pytest.skip("only the masked language model has a decoder to tie")
    settings = config(model_type, head, tie_word_embeddings=tied)
    values = batch(settings)
    mask = values["attention_mask"]

    theirs = torch_model(settings, head)
    expected = torch_logits(theirs, values)
    theirs.save_pretrained(tmp_path / "torch")
    ours = models.from_pretrained(tmp_path / "torch", head)
    subject = f"{model_type} {head}{'' if tied else ' untied'}"
    page.compare(subject, "logits in", difference(flax_logits(ours, values), expected, mask))

    models.save_pretrained(ours, tmp_path / "flax")
    auto = getattr(transformers, HEADS[head])
    back, report = auto.from_pretrained(tmp_path / "flax", output_loading_info=True)
    assert not any(report.values()), report
    assert type(back) is type(theirs)
    assert back.config.architectures == [type(theirs).__name__]
    # The same numbers on both sides, and through PyTorch again not one bit changed.
    again = torch_logits(back, values)
    page.compare(subject, "logits out", difference(flax_logits(ours, values), again, mask))
    assert difference(again, expected, mask) == 0


@pytest.mark.parametrize("act", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"])
def test_activations(act, tmp_path):
    settings = config("bert", "masked_lm", hidden_act=act)
    values = batch(settings)
    theirs = torch_model(settings, "masked_lm")
    theirs.save_pretrained(tmp_path)
    ours = models.from_pretrained(tmp_path, "masked_lm")
    expected, mask = torch_logits(theirs, values), values["attention_mask"]
    assert difference(flax_logits(ours, values), expected, mask) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_and_shards(dtype, tmp_path):
    settings = config("roberta", "masked_lm")
    values = batch(settings)
    theirs = torch_model(settings, "masked_lm").to(dtype)
    theirs.save_pretrained(tmp_path, max_shard_size="4KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    ours = models.from_pretrained(tmp_path, "masked_lm")
    theirs = theirs.float()  # half precision in the file, float32 when computing
    expected, mask = torch_logits(theirs, values), values["attention_mask"]
    assert difference(flax_logits(ours, values), expected, mask) < TOLERANCE


def test_new_weights_are_spread_as_in_pytorch(model_type, head):
    settings = config(model_type, head, vocab_size=2000, initializer_range=0.05)
    theirs = getattr(transformers, HEADS[head]).from_config(settings).state_dict()
    ours = models.from_config(settings, head)
    names = encoder.names(settings, head)
    for path, param in named_parameters(ours):
        key, transposed = names.key(path)
        mine = np.asarray(param[...]).T if transposed else np.asarray(param[...])
        there = theirs[key].numpy()
        assert mine.shape == there.shape, key
        if "weight" in key and mine.ndim == 2:
            assert mine.std() == pytest.approx(there.std(), rel=6 / mine.size**0.5), key
            assert np.array_equal((mine == 0).all(1), (there == 0).all(1)), key
        else:
            assert np.array_equal(mine, there), key
