"""Folders of GPT-2, T5 and Whisper in and out: names, copies, generation defaults, refusals."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.decoders import ARRAYS, HEADS, load
from transformers import GenerationConfig

from stages import models
from stages.core.errors import InputError
from stages.models.parameters import dotted, named_parameters

FILES = ("config.json", "generation_config.json", "model.safetensors")
CLASSES = {
    "gpt2": "GPT2LMHeadModel",
    "t5": "T5ForConditionalGeneration",
    "flan_t5": "T5ForConditionalGeneration",
    "whisper": "WhisperForConditionalGeneration",
}
# The token table, and the tied head that repeats it.
TABLES = {
    "gpt2": ("transformer.wte.weight", "lm_head.weight"),
    "t5": ("shared.weight", "lm_head.weight"),
    "flan_t5": ("shared.weight", "lm_head.weight"),
    "whisper": ("model.decoder.embed_tokens.weight", "proj_out.weight"),
}


def flat(model):
    return {dotted(path): np.asarray(param[...]) for path, param in named_parameters(model)}


def same(one, two):
    one, two = flat(one), flat(two)
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


@pytest.fixture(params=HEADS)
def kind(request):
    return request.param


@pytest.fixture
def folder(kind, tmp_path):
    """A copy of a stored folder, to be damaged."""
    return Path(shutil.copytree(ARRAYS / kind, tmp_path / kind))


def rewrite(folder, change):
    """Pass the folder's tensors through `change` (a function of the dict)."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file)


def edit(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_save_load_save_gives_the_same_bytes(kind, tmp_path):
    first = load(kind)
    models.save_pretrained(first, tmp_path / "one")
    second = models.from_pretrained(tmp_path / "one", HEADS[kind])
    models.save_pretrained(second, tmp_path / "two")
    assert same(first, second)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(FILES)
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_names_and_architecture(kind, tmp_path):
    models.save_pretrained(load(kind), tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
    written, there = (
        load_file(tmp_path / "model.safetensors"),
        load_file(ARRAYS / kind / "model.safetensors"),
    )
    assert written.keys() == there.keys()
    for name, value in there.items():
        np.testing.assert_array_equal(written[name], value.astype(np.float32), name)
    table, head = TABLES[kind]
    assert table in written
    assert (head in written) == (kind == "flan_t5")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == [CLASSES[kind]]
    assert config["dtype"] == "float32"
    assert config["tie_word_embeddings"] == (kind != "flan_t5")


def test_gpt2_kernels_are_stored_as_they_are():
    there = load_file(ARRAYS / "gpt2" / "model.safetensors")
    layer = load("gpt2").layers[0]
    stored = there["transformer.h.0.attn.c_attn.weight"]
    assert stored.shape == (16, 48)
    np.testing.assert_array_equal(layer.attention.query_key_value.kernel[...], stored)


def test_a_convolution_by_hand():
    there = load_file(ARRAYS / "whisper" / "model.safetensors")
    weight = there["model.encoder.conv2.weight"].astype(np.float32)
    bias = there["model.encoder.conv2.bias"].astype(np.float32)
    x = np.random.default_rng(0).standard_normal((1, 8, 16)).astype(np.float32)
    y = load("whisper").encoder.convolutions[1](x)
    assert y.shape == (1, 4, 16)
    # The second output looks at inputs 1, 2 and 3; the first at a zero, 0 and 1.
    expected = sum(weight[:, :, place] @ x[0, 1 + place] for place in range(3)) + bias
    np.testing.assert_allclose(y[0, 1], expected, rtol=1e-4, atol=1e-4)
    expected = sum(weight[:, :, place] @ x[0, place - 1] for place in (1, 2)) + bias
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_copies_and_buffers_are_passed_over(kind, folder, caplog):
    caplog.set_level(logging.INFO)
    table, head = TABLES[kind]
    buffers = {
        "gpt2": ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias"],
        "t5": ["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"],
    }.get(kind, [])
    copies = {
        "t5": ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", head],
        "flan_t5": ["encoder.embed_tokens.weight"],
    }.get(kind, [head])

    def add(tensors):
        tensors |= {name: np.ones((3, 2), np.float32) for name in buffers}
        return tensors | {name: tensors[table].copy() for name in copies}

    rewrite(folder, add)
    assert same(load(kind), models.from_pretrained(folder, HEADS[kind]))
    assert "newly" not in caplog.text
    assert "not used" not in caplog.text


def test_a_copy_may_stand_for_the_table(kind, folder):
    table, head = TABLES[kind]
    name = "decoder.embed_tokens.weight" if kind == "flan_t5" else head
    rewrite(folder, lambda tensors: tensors | {name: tensors.pop(table)})
    assert same(load(kind), models.from_pretrained(folder, HEADS[kind]))


@pytest.mark.parametrize("kind", ["gpt2", "t5", "whisper"])
def test_a_head_that_is_no_copy_is_refused(kind, folder):
    table, head = TABLES[kind]
    rewrite(folder, lambda tensors: tensors | {head: tensors[table] + 1})
    with pytest.raises(InputError, match=f"{head} is not the copy of {table} that config.json"):
        models.from_pretrained(folder, HEADS[kind])


@pytest.mark.parametrize("kind", ["gpt2", "whisper"])
def test_a_bare_model_has_no_prefix(kind, folder):
    prefix = {"gpt2": "transformer.", "whisper": "model."}[kind]
    rewrite(folder, lambda tensors: {k.removeprefix(prefix): v for k, v in tensors.items()})
    assert same(load(kind), models.from_pretrained(folder, HEADS[kind]))


@pytest.mark.parametrize("kind", ["gpt2", "whisper"])
def test_an_untied_head_is_made_if_need_be(kind, folder, caplog):
    edit(folder, tie_word_embeddings=False)
    table, head = TABLES[kind]
    model = models.from_pretrained(folder, HEADS[kind])
    assert f"newly initialised: {head}" in caplog.text
    assert model.head.kernel.shape == (16, 40)
    rewrite(folder, lambda tensors: tensors | {head: 2 * tensors[table]})
    model = models.from_pretrained(folder, HEADS[kind])
    expected = 2 * load_file(ARRAYS / kind / "model.safetensors")[table].T
    np.testing.assert_array_equal(model.head.kernel[...], expected.astype(np.float32))


@pytest.mark.parametrize("kind", ["flan_t5"])
def test_an_untied_t5_without_a_head_has_the_table_for_it(folder, caplog):
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if k != "lm_head.weight"})
    model = models.from_pretrained(folder, "seq2seq_lm")
    np.testing.assert_array_equal(
        np.asarray(model.head.kernel[...]).T, model.word_embeddings.embedding[...]
    )
    assert "newly" not in caplog.text


@pytest.mark.parametrize("kind", ["t5", "flan_t5"])
@pytest.mark.parametrize("changes", [{"tie_word_embeddings": False}, {}])
def test_what_the_file_says_of_a_t5_head(kind, folder, changes):
    """Files of all versions: those before 5 only have `tie_word_embeddings`."""
    text = json.loads((folder / "config.json").read_text())
    del text["scale_decoder_outputs"], text["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(text | changes))
    config = models.load_config(folder)
    assert config.scale_decoder_outputs == (not changes)
    assert hasattr(models.from_config(config, "seq2seq_lm"), "head") == bool(changes)


def test_generation_defaults_are_kept(kind, folder, tmp_path):
    file = folder / "generation_config.json"
    file.write_text(json.dumps({"max_length": 9, "num_beams": 3, "lang_to_id": {"<|en|>": 7}}))
    model = models.from_pretrained(folder, HEADS[kind])
    assert model.generation_config.num_beams == 3
    models.save_pretrained(model, tmp_path / "saved")
    again = GenerationConfig.from_pretrained(tmp_path / "saved")
    assert (again.max_length, again.num_beams, again.lang_to_id) == (9, 3, {"<|en|>": 7})

    file.unlink()
    model = models.from_pretrained(folder, HEADS[kind])
    assert model.generation_config.eos_token_id == 1
    model.generation_config = GenerationConfig(max_new_tokens=4)
    models.save_pretrained(model, tmp_path / "changed")
    assert GenerationConfig.from_pretrained(tmp_path / "changed").max_new_tokens == 4


@pytest.mark.parametrize("kind", ["whisper"])
def test_old_whisper_configurations_hold_generation_defaults(folder):
    old = {"max_length": 448, "forced_decoder_ids": [[1, 5]], "suppress_tokens": [7, 8]}
    edit(folder, **old)
    (folder / "generation_config.json").unlink()
    defaults = models.from_pretrained(folder, "speech_seq2seq").generation_config
    assert defaults.suppress_tokens == [7, 8]
    assert defaults.begin_suppress_tokens == [3]
    assert defaults.decoder_start_token_id == 2


@pytest.mark.parametrize("kind", ["t5"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "generation_config.json: not valid JSON"),
        ('{"num_beams": -1, "max_new_tokens": -4}', "generation_config.json: .*max_new_tokens"),
    ],
)
def test_generation_defaults_that_are_refused(folder, text, message):
    (folder / "generation_config.json").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        models.from_pretrained(folder, "seq2seq_lm")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is set"),
        ("t5", {"feed_forward_proj": "gated-mish"}, "feed_forward_proj 'gated-mish'"),
        ("t5", {"feed_forward_proj": "a-b-c"}, "feed_forward_proj"),
        ("t5", {"is_encoder_decoder": False}, "is_encoder_decoder is false"),
        ("whisper", {"decoder_layerdrop": 0.1}, "decoder_layerdrop is set"),
        ("gpt2", {"vocab_size": 39}, r"wte\.weight is of shape \(40, 16\), \(39, 16\) is needed"),
    ],
)
def test_refused_in_one_line_that_names_the_folder(kind, folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(InputError, match=message) as error:
        models.from_pretrained(folder, HEADS[kind])
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)
