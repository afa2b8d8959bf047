"""Checkpoints that lie, contradict themselves or ask for more than they hold."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.paths import ARRAYS

from stages import models
from stages.core.errors import InputError
from stages.generation import GenerationOptions
from stages.models.loading import load_model, pretrained_labels

HEAD = "sequence_classification"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
CLASSIFIER = {"architectures": ["BertForSequenceClassification"]}


@pytest.fixture
def folder(tmp_path):
    """`folder(family)`: a copy of a stored checkpoint, to be damaged."""
    return lambda family: Path(shutil.copytree(ARRAYS / family, tmp_path / family))


def edit(folder: Path, name: str = "config.json", **changes) -> Path:
    values = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    (folder / name).write_text(json.dumps({**values, **changes}))
    return folder


def load(folder: Path, head: str):
    with pytest.raises(InputError) as error:
        models.from_pretrained(folder, head)
    message = str(error.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    assert ";" in message
    return message


FAMILIES = {
    "bert": (HEAD, {"layers": "num_hidden_layers", "heads": "num_attention_heads",
                    "width": "hidden_size", "rate": "hidden_dropout_prob"}),
    "distilbert": (HEAD, {"layers": "n_layers", "heads": "n_heads", "width": "dim",
                          "rate": "attention_dropout"}),
    "gpt2": ("causal_lm", {"layers": "n_layer", "heads": "n_head", "width": "n_embd",
                           "rate": "embd_pdrop"}),
    "t5": ("seq2seq_lm", {"layers": "num_decoder_layers", "heads": "num_heads",
                          "width": "d_kv", "rate": "dropout_rate"}),
    "whisper": ("speech_seq2seq", {"layers": "encoder_layers", "heads": "decoder_attention_heads",
                                   "width": "num_mel_bins", "rate": "activation_dropout"}),
}  # fmt: skip
BAD = {
    "layers": (10**9, 0, -1, True, "2", 2.0),
    "heads": (0, -2, 2**70),
    "width": (2**60, [16]),
    "rate": (1.0, -0.1, "0.1"),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", BAD)
def test_sizes_and_rates_of_each_family(family, kind, folder):
    head, keys = FAMILIES[family]
    for value in BAD[kind]:
        path = edit(folder(family), **{keys[kind]: value})
        assert keys[kind] in load(path, head), value
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id2label": {"3": "x"}}, r"id2label has the keys \['3'\]; expected 0, 1 and so on"),
        ({"id2label": {"0": "a", "00": "b"}}, "id2label has the keys"),
        ({"id2label": {}}, "id2label is empty"),
        ({"id2label": {"0": 5}}, "id2label"),
        ({"num_labels": 10**9}, "num_labels is 1000000000; expected a whole number from 1 to"),
        ({"num_labels": 0}, "num_labels is 0"),
        ({"num_labels": True}, "num_labels is True"),
        ({"architectures": [5]}, r"architectures is \[5\]; expected a list of class names"),
        ({"architectures": "BertModel"}, "architectures is 'BertModel'"),
        ({"per_layer_config": {"0": {"hidden_size": 8}}}, "per_layer_config gives layers differ"),
        ({"quantization_config": {"bits": 4}}, "quantization_config means quantised weights"),
        ({"to_dict": 1}, "to_dict is no entry of a configuration"),
        ({"attribute_map": {"a": "b"}}, "attribute_map is no entry"),
        ({"problem_type": "guess"}, "problem_type"),
        ({"task_specific_params": [1]}, r"task_specific_params is \[1\]; expected a mapping"),
        ({"model_type": ["bert"]}, r"model_type \['bert'\] is not supported"),
        ({"model_type": "b" * 10**6}, r"model_type 'bbb.*\.\.\..*bbb' is not supported"),
    ],
)
def test_entries_that_transformers_takes_unseen(changes, said, folder):
    with pytest.raises(InputError, match=said) as error:
        models.load_config(edit(folder("bert"), **changes))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ('{"model_type": "bert", "layer_norm_eps": NaN}', "NaN is no number of JSON"),
        ('{"model_type": "bert", "layer_norm_eps": 1e999}', "1e999 is beyond every float"),
        ('{"model_type": "bert", "hidden_size": %s}' % ("9" * 5000), "not valid JSON"),
        ('{"model_type": "bert", "model_type": "gpt2"}', "the key 'model_type' is given twice"),
    ],
    ids=["lists", "objects", "NaN", "too large", "digits", "twice"],
)  # fmt: skip
def test_json_that_no_program_should_write(text, said, folder):
    path = folder("bert")
    (path / "config.json").write_text(text)
    with pytest.raises(InputError, match=f"config.json: not valid JSON .*{said}|{said}"):
        models.load_config(path)


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ({"a": 5, "b": "x"}, "5 is no name of a file"),
        ({"a": ["x"]}, r"\['x'\] is no name of a file"),
        ({"a": "../model.safetensors"}, "'../model.safetensors' is no name of a file"),
        ({"a": "/etc/passwd"}, "'/etc/passwd' is no name of a file"),
        ({"a": "deep/model.safetensors"}, "is no name of a file"),
        ({"a": ".."}, "is no name of a file"),
        ({"a": "x\0"}, r"'x\\x00' is no name of a file"),
        ({"a": "x" * 10**6}, "is no name of a file"),
        ({"a": "\ud83d"}, "missing"),
        ({"a": "gone.safetensors"}, "gone.safetensors: missing"),
        ([1], "no weight_map"),
    ],
)
def test_an_index_with_wrong_values(shards, said, folder):
    path = folder("bert")
    (path / WEIGHTS).rename(path.parent / WEIGHTS)
    (path / INDEX).write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(InputError, match=said) as error:
        models.from_pretrained(path, HEAD)
    assert len(str(error.value)) < 1000


def test_a_weight_that_is_in_two_shards(folder):
    path = folder("bert")
    shutil.copy(path / WEIGHTS, path / "one.safetensors")
    (path / WEIGHTS).rename(path / "two.safetensors")
    shards = {"a": "one.safetensors", "b": "two.safetensors"}
    (path / INDEX).write_text(json.dumps({"weight_map": shards}))
    assert "which is in one.safetensors already" in load(path, HEAD)


def header(change):
    """Rewrite the header of the safetensors file, a length of 8 bytes and JSON."""

    def rewrite(content: bytes) -> bytes:
        (size,) = struct.unpack("<Q", content[:8])
        entries = json.loads(content[8 : 8 + size])
        change(entries)
        text = json.dumps(entries).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + size :]

    return rewrite


KEY = "bert.embeddings.word_embeddings.weight"
LIES = {
    "beyond the end": header(lambda e: e[KEY].update(data_offsets=[0, 2**60])),
    "backwards": header(lambda e: e[KEY].update(data_offsets=[64, 0])),
    "negative": header(lambda e: e[KEY].update(data_offsets=[-64, 0])),
    "overlapping": header(lambda e: [one.update(data_offsets=[0, 64]) for one in e.values()
                                     if "data_offsets" in one]),
    "shape": header(lambda e: e[KEY].update(shape=[2**40, 16])),
    "shape overflows": header(lambda e: e[KEY].update(shape=[2**40, 2**40])),
    "type": header(lambda e: e[KEY].update(dtype="F99")),
    "header of 2^60": lambda content: struct.pack("<Q", 2**60) + content[8:],
    "header of 0": lambda content: bytes(8) + content[8:],
    "cut": lambda content: content[: len(content) // 2],
    "nothing": lambda content: b"",
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_weights_whose_header_lies(name, folder):
    path = folder("bert")
    (path / WEIGHTS).write_bytes(LIES[name]((path / WEIGHTS).read_bytes()))
    assert "corrupt or truncated" in load(path, HEAD)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value, folder):
    path = folder("bert")
    tensors = load_file(path / WEIGHTS)
    tensors[KEY][3, 3] = value
    save_file(tensors, path / WEIGHTS)
    assert f"{KEY} holds NaN or infinity" in load(path, HEAD)


def test_what_the_file_does_not_back_is_refused_before_anything_is_read(folder, monkeypatch):
    # 64 GiB of embeddings, and a file of some KiB.
    path = edit(folder("bert"), vocab_size=2**24, hidden_size=1024, intermediate_size=16)
    monkeypatch.setattr("stages.models.pretrained.state_dict.StateDict.read", None)
    assert "is of shape" in load(path, HEAD)


def test_new_weights_beyond_the_memory_are_refused(folder):
    config = models.load_config(folder("gpt2"))
    config.n_embd, config.n_head, config.vocab_size = 2**20, 2, 2**24
    with pytest.raises(InputError, match=r"GiB, and this machine has .*; lower the sizes"):
        models.from_config(config, "causal_lm")


def test_positions_that_padding_uses_up(folder):
    path = edit(folder("roberta"), max_position_embeddings=1)
    assert "max_position_embeddings 1 leaves no position" in load(path, HEAD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eos_token_id": "end"}, "eos_token_id is 'end'; expected a token's id, or a list"),
        ({"max_length": "20"}, "max_length is '20'; expected a whole number"),
        ({"num_beams": 2.5}, "num_beams"),
        ({"suppress_tokens": [1, None]}, "suppress_tokens is"),
        ({"forced_decoder_ids": [[1]]}, r"forced_decoder_ids is \[\[1\]\]; expected a list of"),
        ({"lang_to_id": ["<|en|>"]}, "lang_to_id is .*; expected a mapping of names"),
        ({"task_to_id": {"transcribe": "1"}}, "task_to_id is"),
        ({"language": 5}, "language is 5"),
        ({"early_stopping": "often"}, "early_stopping"),
        ({"to_dict": 5}, "to_dict is no entry of this file"),
    ],
)
def test_a_generation_config_of_the_wrong_kind(changes, said, folder):
    # Without this entry transformers reads no others than its own.
    changes = {"_from_model_config": False, **changes}
    path = edit(folder("whisper"), "generation_config.json", **changes)
    with pytest.raises(InputError, match=said) as error:
        models.from_pretrained(path, "speech_seq2seq")
    assert str(error.value).startswith(f"{path}/generation_config.json: ")


def test_a_generation_config_of_numbers_out_of_range(folder):
    path = edit(folder("t5"), "generation_config.json", eos_token_id=10**12)
    with pytest.raises(InputError, match="eos_token_id: 1000000000000 is not in the vocabulary"):
        GenerationOptions.from_model(models.from_pretrained(path, "seq2seq_lm"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id2label": {"0": "a", "1": "a"}}, "has the label 'a' twice in id2label"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}},
         "gives 'a' the number 0 in id2label and 1 in label2id"),
        ({"problem_type": "regression", "id2label": {"0": "a", "1": "b"}},
         "has problem_type 'regression' and 2 outputs"),
    ],
)  # fmt: skip
def test_labels_that_contradict_each_other(changes, said, folder):
    path = edit(folder("bert"), **CLASSIFIER, **changes)
    with pytest.raises(InputError, match=said):
        pretrained_labels(str(path), HEAD)


def test_label2id_may_hold_other_names(folder):
    path = edit(folder("bert"), **CLASSIFIER, id2label={"0": "a", "1": "b"},
                label2id={"LABEL_0": 0, "LABEL_1": 1})  # fmt: skip
    assert pretrained_labels(str(path), HEAD) == (["a", "b"], False)


def test_a_head_without_weights_is_not_evaluated_with_random_ones(folder):
    path = edit(folder("bert"), **CLASSIFIER)
    tensors = load_file(path / WEIGHTS)
    save_file({k: v for k, v in tensors.items() if not k.startswith("classifier")}, path / WEIGHTS)
    load_model(str(path), HEAD, new_head=True)
    with pytest.raises(InputError, match=r"weight classifier\.bias is missing"):
        load_model(str(path), HEAD, new_head=False)


@pytest.mark.parametrize(
    ("labels", "regression", "kind"),
    [
        (["no", "yes"], False, "single_label_classification"),
        (None, True, "regression"),
        (list("abc"), False, "single_label_classification"),
    ],
)
def test_the_problem_type_is_written_and_read(labels, regression, kind, folder, tmp_path):
    path = folder("bert")
    # Of another problem than the one that is trained now.
    other = "single_label_classification" if regression else "regression"
    edit(path, problem_type=other, id2label={str(i): f"x{i}" for i in range(3)}, label2id=None)
    model = load_model(str(path), HEAD, labels=labels, regression=regression)
    models.save_pretrained(model, tmp_path / "saved")
    config = json.loads((tmp_path / "saved/config.json").read_text())
    assert config["problem_type"] == kind
    names, found = pretrained_labels(str(tmp_path / "saved"), HEAD)
    assert found == regression
    assert regression or names == labels


def test_one_output_of_another_program_is_a_regression(folder):
    path = edit(folder("bert"), **CLASSIFIER, id2label={"0": "LABEL_0"}, label2id=None)
    assert pretrained_labels(str(path), HEAD) == (["0"], True)


def test_a_tagger_has_no_problem_type_of_the_classifier_it_starts_from(folder):
    path = edit(folder("bert"), problem_type="single_label_classification")
    model = load_model(str(path), "token_classification", labels=["O", "B-X"])
    assert model.config.problem_type is None


def test_several_labels_a_text_are_not_predicted_as_one(folder):
    path = edit(folder("bert"), **CLASSIFIER, problem_type="multi_label_classification")
    with pytest.raises(InputError, match="several classes a text, which is not supported"):
        load_model(str(path), HEAD, new_head=False)
