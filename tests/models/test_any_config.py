"""Whatever stands in a file of a checkpoint's folder: one line, or a model."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from support.generated import holds, sizes
from support.toy_models import HEADS, make_checkpoint

from stages import models
from stages.core.errors import InputError
from stages.generation import GenerationOptions
from stages.models.loading import load_model, pretrained_labels
from stages.models.tokenizers import check_vocabulary, load_tokenizer

FAMILIES = ("bert", "roberta", "distilbert", "gpt2", "t5", "whisper")
# Entries that no configuration above has, and names that a class of transformers uses itself.
FURTHER = {
    "config.json": [
        *("num_labels", "attention_init", "position_embedding_init", "per_layer_config"),
        *("quantization_config", "torch_dtype", "task_specific_params", "num_layers", "to_dict"),
        *("attribute_map", "_name_or_path", "auto_map", "forced_decoder_ids"),
    ],
    "generation_config.json": [
        *models.pretrained.reading.GenerationEntries.model_fields,
        *("do_sample", "bad_words_ids", "num_return_sequences", "to_dict", "compile_config"),
    ],
    "tokenizer_config.json": [
        *("model_max_length", "padding_side", "tokenizer_class", "added_tokens_decoder"),
        *("extra_special_tokens", "additional_special_tokens", "add_prefix_space", "encode"),
        *(f"{key}_token" for key in ("pad", "eos", "bos", "cls", "sep", "mask", "unk")),
    ],
}
# Small enough to build at once, or too large to be built at all.
numbers = st.integers(-3, 40) | st.sampled_from([2**25, 10**9, 2**63, 10**30, -(2**63)])
words = st.sampled_from(
    ["relu", "gated-silu", "regression", "neighbours", "copying", "monotonic", "[PAD]", "</s>", "a"]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | words | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
labels = st.dictionaries(st.sampled_from(["0", "1", "2", "00", "x", "-1"]), values, max_size=3)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder of each family."""
    folder = tmp_path_factory.mktemp("checkpoints")
    heads = {family: HEADS.get(family, "sequence_classification") for family in FAMILIES}
    return {
        family: make_checkpoint(folder / family, family, head) for family, head in heads.items()
    }


@contextlib.contextmanager
def one_line_at_most() -> Iterator[None]:
    """Let an `InputError` pass if it is one line of a bounded length."""
    try:
        yield
    except InputError as error:
        message = str(error)
        if "\n" in message or len(message) > 1000:
            raise AssertionError(f"not one short line: {message!r}") from error


def spoil(source: Path, folder: Path, name: str, data: st.DataObject) -> None:
    """Copy a checkpoint to `folder`, with other values in one of its files."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    found = json.loads((source / name).read_text()) if (source / name).exists() else {}
    keys = set(found) | set(FURTHER[name])
    if name == "config.json":
        config = models.load_config(source)
        keys |= {*config.to_dict(), *config.attribute_map}
    key = st.sampled_from(sorted(keys)) | st.text(max_size=8)
    changes = data.draw(st.dictionaries(key, values | labels, min_size=1, max_size=3))
    (folder / name).write_text(json.dumps(found | changes))


def check(checkpoints, family: str, data: st.DataObject, folder: Path) -> None:
    name = data.draw(st.sampled_from(["config.json", *FURTHER]))  # config.json twice as often
    spoil(checkpoints[family], folder, name, data)
    head = HEADS.get(family, "sequence_classification")
    with one_line_at_most():
        pretrained_labels(str(folder), head)
    with one_line_at_most():
        tokenizer = load_tokenizer(str(folder), needs=("pad", "eos") if family == "t5" else ())
        model = load_model(str(folder), head, new_head=data.draw(st.booleans()))
        check_vocabulary(tokenizer, model.config)
        models.save_pretrained(model, folder / "saved")
        if hasattr(model, "generation_config"):
            GenerationOptions.from_model(model)
    with one_line_at_most():
        models.from_config(models.load_config(folder), head)


@sizes
@pytest.mark.parametrize("family", FAMILIES)
def test_a_line_or_a_model(count, family, checkpoints, tmp_path_factory):
    def one(data):
        folder = tmp_path_factory.mktemp("model")
        check(checkpoints, family, data, folder)
        shutil.rmtree(folder)

    holds(one, st.data(), count=max(count // len(FAMILIES), 12))
