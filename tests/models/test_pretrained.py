"""Hugging Face folders in and out: bytes, names, configuration, and what is refused."""

import json
import logging
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.paths import ARRAYS

from stages import models
from stages.core.errors import InputError
from stages.models.loading import save_model
from stages.models.parameters import dotted, named_parameters
from stages.models.pretrained import writing

TYPES = ("bert", "roberta", "distilbert")
HEADS = ("masked_lm", "sequence_classification", "token_classification", "question_answering")
FILES = ("config.json", "model.safetensors")


def flat(model):
    return {dotted(path): np.asarray(param[...]) for path, param in named_parameters(model)}


def same(one, two):
    one, two = flat(one), flat(two)
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


@pytest.fixture
def folder(tmp_path):
    """A copy of the stored BERT folder, to be damaged."""
    return Path(shutil.copytree(ARRAYS / "bert", tmp_path / "bert"))


def edit(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def rewrite(folder, change):
    """Pass the folder's tensors through `change` (a function of the dict)."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("model_type", TYPES)
def test_save_load_save_gives_the_same_bytes(model_type, head, tmp_path):
    first = models.from_pretrained(ARRAYS / model_type, head)
    models.save_pretrained(first, tmp_path / "one")
    second = models.from_pretrained(tmp_path / "one", head)
    models.save_pretrained(second, tmp_path / "two")
    assert same(first, second)
    assert sorted(os.listdir(tmp_path / "one")) == sorted(FILES)
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("model_type", "head", "architecture", "keys"),
    [
        ("bert", "masked_lm", "BertForMaskedLM", {"cls.predictions.bias"}),
        ("bert", "sequence_classification", "BertForSequenceClassification",
         {"bert.pooler.dense.weight", "classifier.weight"}),
        ("roberta", "masked_lm", "RobertaForMaskedLM", {"lm_head.bias", "lm_head.layer_norm.bias"}),
        ("roberta", "sequence_classification", "RobertaForSequenceClassification",
         {"classifier.dense.weight", "classifier.out_proj.bias"}),
        ("distilbert", "masked_lm", "DistilBertForMaskedLM", {"vocab_projector.bias"}),
        ("distilbert", "question_answering", "DistilBertForQuestionAnswering",
         {"qa_outputs.weight", "distilbert.transformer.layer.1.ffn.lin2.weight"}),
    ],
)  # fmt: skip
def test_what_is_written(model_type, head, architecture, keys, tmp_path):
    model = models.from_pretrained(ARRAYS / model_type, head)
    models.save_pretrained(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == [architecture]
    assert config["model_type"] == model_type
    assert config["dtype"] == "float32"
    assert config["transformers_version"]
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert keys <= set(file.keys())
        assert not [key for key in file.keys() if "decoder" in key]  # noqa: SIM118
        assert all(file.get_slice(key).get_dtype() == "F32" for key in file.keys())  # noqa: SIM118
        inner = next(key for key in file.keys() if "intermediate" in key or "lin1.weight" in key)  # noqa: SIM118
        assert tuple(file.get_slice(inner.replace("bias", "weight")).get_shape()) == (24, 16)


def test_written_files_may_be_read_by_others(tmp_path):
    models.save_pretrained(models.from_pretrained(ARRAYS / "bert", "masked_lm"), tmp_path)
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (*FILES, "plain")}
    assert len(modes) == 1


def test_a_failed_save_leaves_the_old_files(tmp_path, monkeypatch):
    model = models.from_pretrained(ARRAYS / "bert", "masked_lm")
    models.save_pretrained(model, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}

    def full(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(writing, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        models.save_pretrained(model, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_labels_and_problem_type_are_kept(tmp_path):
    config = models.load_config(ARRAYS / "bert")
    config.id2label = {0: "no", 1: "yes"}
    config.label2id = {"no": 0, "yes": 1}
    config.problem_type = "single_label_classification"
    model = models.from_pretrained(ARRAYS / "bert", "sequence_classification", config=config)
    models.save_pretrained(model, tmp_path)
    back = models.load_config(tmp_path)
    assert (back.num_labels, back.id2label) == (2, {0: "no", 1: "yes"})
    assert back.problem_type == "single_label_classification"


def test_an_untied_decoder_is_written_and_read(tmp_path):
    config = models.load_config(ARRAYS / "bert")
    config.tie_word_embeddings = False
    model = models.from_config(config, "masked_lm")
    models.save_pretrained(model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["cls.predictions.decoder.weight"].shape == (40, 16)
    assert same(model, models.from_pretrained(tmp_path, "masked_lm"))


def test_a_new_head_is_seeded_and_said(folder, caplog):
    caplog.set_level(logging.INFO)
    rewrite(folder, lambda t: {k: v for k, v in t.items() if not k.startswith("classifier")})
    one, two, other = (
        models.from_pretrained(folder, "token_classification", seed=seed) for seed in (1, 1, 2)
    )
    assert same(one, two)
    assert not same(one, other)
    lines = [record.getMessage() for record in caplog.records if str(folder) in record.getMessage()]
    assert lines[0] == f"{folder}: newly initialised: classifier.bias, classifier.weight"
    assert lines[1].startswith(f"{folder}: not used: bert.pooler.dense.bias, ")
    assert "qa_outputs.weight" in lines[1]


def test_another_number_of_labels_makes_a_new_head(folder, caplog):
    config = models.load_config(folder)
    config.num_labels = 7
    model = models.from_pretrained(folder, "token_classification", config=config)
    assert flat(model)["head.output.kernel"].shape == (16, 7)
    assert "classifier.weight ((3, 16) in the file)" in caplog.text


def test_names_of_old_and_bare_checkpoints(folder, caplog):
    whole = models.from_pretrained(folder, "masked_lm")

    def old(tensors):
        for key in list(tensors):
            new = key.replace("LayerNorm.weight", "LayerNorm.gamma")
            tensors[new.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(key)
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")
        tensors["bert.embeddings.position_ids"] = np.arange(16)[None]
        return tensors

    rewrite(folder, old)
    assert same(whole, models.from_pretrained(folder, "masked_lm"))
    assert "newly" not in caplog.text
    assert "position_ids" not in caplog.text

    rewrite(folder, lambda t: {k[5:]: v for k, v in t.items() if k.startswith("bert.")})
    assert "embeddings.word_embeddings.weight" in load_file(folder / "model.safetensors")
    bare = flat(models.from_pretrained(folder, "masked_lm"))
    assert all(np.array_equal(v, bare[k]) for k, v in flat(whole).items() if "head" not in k)


def shard(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    keys = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": keys[::2],
             "model-00002-of-00002.safetensors": keys[1::2]}  # fmt: skip
    for name, part in parts.items():
        save_file({key: tensors[key] for key in part}, folder / name)
    index = {"metadata": {}, "weight_map": {key: n for n, part in parts.items() for key in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards(folder):
    whole = models.from_pretrained(folder, "masked_lm")
    shard(folder)
    assert same(whole, models.from_pretrained(folder, "masked_lm"))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"00002\.safetensors: missing, though .*index\.json"):
        models.from_pretrained(folder, "masked_lm")
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="no weight_map"):
        models.from_pretrained(folder, "masked_lm")


def test_a_configuration_file_may_stand_alone(tmp_path):
    file = shutil.copy(ARRAYS / "bert" / "config.json", tmp_path / "encoder.json")
    assert models.load_config(file).hidden_size == 16


def missing_weight(folder):
    rewrite(folder, lambda t: {k: v for k, v in t.items() if "layer.1.output.dense.w" not in k})


def short_vocabulary(folder):
    edit(folder, vocab_size=39)


def truncated(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def garbage(folder):
    (folder / "model.safetensors").write_bytes(b"not a checkpoint")


def only(name):
    def change(folder):
        (folder / "model.safetensors").rename(folder / name)

    return change


def quantised(folder):
    rewrite(folder, lambda t: {k: v.astype(np.int8) for k, v in t.items()})


REFUSED = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json; give a folder"),
    "broken json": (lambda f: (f / "config.json").write_text("{"), "config.json: not valid JSON"),
    "not text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "config.json: not a JSON object"),
    "remote code": (lambda f: edit(f, auto_map={"AutoModel": "x.X"}), "needs remote code"),
    "other type": (lambda f: edit(f, model_type="bloom"), "'bloom' is not supported; supported: b"),
    "no type": (lambda f: edit(f, model_type=None), "model_type None is not supported"),
    "wrong value": (lambda f: edit(f, hidden_size="wide"), "hidden_size"),
    "relative": (lambda f: edit(f, position_embedding_type="relative_key"), "relative_key"),
    "activation": (lambda f: edit(f, hidden_act="mish"), "activation 'mish' is not supported"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    "pickle": (only("pytorch_model.bin"), "only pytorch_model.bin, .*save_pretrained it to safet"),
    "torch": (only("weights.pt"), r"only weights\.pt"),
    "flax": (only("flax_model.msgpack"), r"only flax_model\.msgpack"),
    "tensorflow": (only("tf_model.h5"), r"only tf_model\.h5"),
    "truncated": (truncated, "model.safetensors: corrupt or truncated .*; restore or re-download"),
    "garbage": (garbage, "model.safetensors: corrupt or truncated"),
    "missing weight": (
        missing_weight,
        r"bert\.encoder\.layer\.1\.output\.dense\.weight is missing",
    ),
    "other shape": (
        short_vocabulary,
        r"word_embeddings\.weight is of shape \(40, 16\), \(39, 16\)",
    ),
    "quantised": (quantised, r"is of type I8; convert"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_that_names_the_folder(name, folder):
    spoil, message = REFUSED[name]
    spoil(folder)
    with pytest.raises(InputError, match=message) as error:
        models.from_pretrained(folder, "masked_lm")
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)
    assert ";" in str(error.value)


def test_a_configuration_of_another_family_is_refused(folder):
    with pytest.raises(InputError, match=r"holds a bert model, but .* of type roberta"):
        models.from_pretrained(folder, "masked_lm", config=models.load_config(ARRAYS / "roberta"))


@pytest.mark.parametrize("name", ["./nothing", "/nowhere/at/all", "a/b/c", "models/mlm/", "~/x"])
def test_a_folder_that_is_not_there(tmp_path, monkeypatch, name):
    # In a folder in which no run has made one of that name.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such folder; give a local folder, or a hub id"):
        models.from_pretrained(name, "masked_lm")


def test_a_file_is_not_a_folder(folder):
    with pytest.raises(InputError, match="is a file, not a model folder"):
        models.from_pretrained(folder / "model.safetensors", "masked_lm")


def test_the_hub_is_asked_for_safetensors_alone(folder, monkeypatch):
    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    models.from_pretrained("owner/name", "masked_lm", revision="v1", token="t", cache_dir="c")
    assert (asked["name"], asked["revision"], asked["token"]) == ("owner/name", "v1", "t")
    assert "model.safetensors" in asked["allow_patterns"]
    assert not [
        p for p in asked["allow_patterns"] if p.endswith((".bin", ".py", ".h5")) or p == "*"
    ]


@pytest.mark.parametrize("name", ["owner/name", "not a name"])
def test_a_hub_id_that_cannot_be_reached(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match=f"{name}: no such folder, and not reached on the hub"
    ) as e:
        models.load_config(name, cache_dir=tmp_path)
    assert "\n" not in str(e.value)


def test_a_tokenizer_is_not_written_through_a_link(tmp_path, tokenizer, monkeypatch):
    """Root may write to a hard link into DVC's cache, which the cache would not notice."""
    monkeypatch.setattr("stages.models.save_pretrained", lambda model, folder: None)
    (tmp_path / "cached").write_text("cached")
    folder = tmp_path / "model"
    folder.mkdir()
    os.link(tmp_path / "cached", folder / "tokenizer.json")
    save_model(folder, None, tokenizer)
    assert (tmp_path / "cached").read_text() == "cached"
    assert json.loads((folder / "tokenizer.json").read_text())["model"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "tokenizer.json", "tokenizer_config.json"
    ]  # fmt: skip
