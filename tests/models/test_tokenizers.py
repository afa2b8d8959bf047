"""What a tokenizer's folder must have, and what a task asks of it."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import scripts

from stages.core.errors import InputError
from stages.data.encode import Encoder
from stages.models.tokenizers import check_template, check_vocabulary, load_tokenizer
from stages.tasks.summarization.examples import read_examples
from stages.tasks.summarization.predict import batch_examples

ALL = ("pad", "cls", "sep", "mask")


@pytest.fixture
def folder(checkpoint, tmp_path):
    """`folder(family)`: a copy of a checkpoint, to be damaged."""
    return lambda family: Path(shutil.copytree(checkpoint(family), tmp_path / family))


def edit(folder: Path, name: str = "tokenizer_config.json", **changes) -> Path:
    """Change keys of a JSON file; None removes one."""
    values = json.loads((folder / name).read_text()) | changes
    values = {key: value for key, value in values.items() if value is not None}
    (folder / name).write_text(json.dumps(values))
    return folder


def without_special(folder: Path, *keys: str) -> Path:
    return edit(folder, **{f"{key}_token": None for key in keys})


@pytest.mark.parametrize("key", ALL)
def test_a_special_token_that_is_missing_is_named_with_the_one_of_the_vocabulary(key, folder):
    path = without_special(folder("bert"), key)
    load_tokenizer(str(path), needs=tuple({*ALL} - {key}))
    with pytest.raises(InputError) as error:
        load_tokenizer(str(path), needs=ALL)
    assert str(error.value) == (
        f"{path}/tokenizer_config.json: this task needs {key}_token, which the tokenizer has not; "
        f'add what it was trained with, for example "{key}_token": "[{key.upper()}]"'
    )


def test_several_that_are_missing_are_named_at_once(folder):
    path = without_special(folder("t5"), "pad", "eos")
    with pytest.raises(InputError, match=r'pad_token and eos_token.*"<pad>", "eos_token": "</s>"'):
        load_tokenizer(str(path), needs=("pad", "eos"))


# The scripts, a file for each, and a special token that it cannot do without.
TASKS = {
    "glue": ("bert", "pairs.csv", "pad"),
    "ner": ("bert", "tags.json", "pad"),
    "qa": ("bert", "nested.json", "cls"),
    "mlm": ("bert", "text.txt", "sep"),
    "clm": ("gpt2", "text.txt", "eos"),
    "t5_mlm": ("t5", "text.txt", "eos"),
    "summarization": ("t5", "stories.json", "pad"),
}


@pytest.mark.parametrize("task", TASKS)
def test_each_task_says_what_it_needs(task, folder, files, tmp_path):
    family, file, key = TASKS[task]
    path = without_special(folder(family), key)
    if family == "gpt2":  # whose class has one without being told
        edit(path, tokenizer_class="PreTrainedTokenizerFast")
    (tmp_path / "stories.json").write_text('{"text": "a b", "summary": "a"}\n' * 4)
    source = files / file if (files / file).exists() else tmp_path / file
    line = scripts.refused(
        scripts.SCRIPTS[task], "--do_train", f"--model_name_or_path={path}",
        f"--train_file={source}", f"--output_dir={tmp_path / 'out'}", "--max_steps=1",
        *scripts.OWN.get(task, ()),
    )  # fmt: skip
    assert f"tokenizer_config.json: this task needs {key}_token" in line
    assert not (tmp_path / "out").exists()


def test_padding_with_the_end_of_a_text_is_said(checkpoint, tmp_path):
    out = io.StringIO()
    scripts.refused(
        "run_clm_flax", "--do_train", f"--model_name_or_path={checkpoint('gpt2')}",
        f"--train_file={tmp_path / 'none.txt'}", f"--output_dir={tmp_path / 'out'}", out=out,
    )  # fmt: skip
    assert "has no pad_token: rows are padded with <|endoftext|>" in out.getvalue()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pad_token": 5}, "cannot be loaded"),
        ({"pad_token": ["[PAD]"]}, "cannot be loaded"),
        ({"pad_token": ""}, "pad_token '' is not in the vocabulary"),
        ({"model_max_length": "long"}, "model_max_length is 'long'; expected"),
        ({"model_max_length": 0}, "model_max_length is 0; expected"),
        ({"model_max_length": True}, "model_max_length is True; expected"),
        ({"padding_side": "middle"}, "cannot be loaded"),
        ({"added_tokens_decoder": 5}, "cannot be loaded"),
        ({"encode": 5}, "cannot be loaded"),
    ],
)
def test_a_value_of_the_wrong_kind(changes, said, folder):
    path = edit(folder("bert"), **changes)
    with pytest.raises(InputError, match=said) as error:
        load_tokenizer(str(path), needs=ALL)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tokenizer_config.json", "[1]", "tokenizer_config.json: not a JSON object"),
        ("tokenizer_config.json", "[" * 100_000, r"not valid JSON \(nested too deeply\)"),
        ("tokenizer_config.json", '{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("tokenizer.json", "{", "cannot be loaded"),
        ("tokenizer.json", '{"model": {"type": "WordPiece"}}', "cannot be loaded"),
        ("tokenizer.json", None, "cannot be loaded"),
    ],
)
def test_a_file_that_is_broken_or_missing(name, text, said, folder):
    path = folder("bert")
    if text is None:
        (path / name).unlink()
    else:
        (path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        load_tokenizer(str(path))


def vocabulary_of(path: Path) -> dict:
    return json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]


def test_a_model_without_a_token_for_the_unknown(folder):
    path = folder("bert")
    content = json.loads((path / "tokenizer.json").read_text())
    content["model"]["unk_token"] = "[GONE]"
    (path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"tokenizer\.json: cannot write a character .*unk_token"):
        load_tokenizer(str(path))


def config_of(path: Path, **changes) -> SimpleNamespace:
    return SimpleNamespace(**json.loads((path / "config.json").read_text()) | changes)


def test_a_token_beyond_the_embeddings(folder):
    path = edit(folder("bert"), pad_token="[NEW]")
    tokenizer = load_tokenizer(str(path), needs=ALL)
    said = r"111 pieces, the model's vocabulary 110 \(the id of '\[NEW\]' is 110\)"
    with pytest.raises(InputError, match=said):
        check_vocabulary(tokenizer, config_of(path))
    check_vocabulary(tokenizer, config_of(path, vocab_size=111))


def test_ids_with_a_gap_count_by_the_highest(folder):
    path = folder("bert")
    vocabulary = vocabulary_of(path)
    content = json.loads((path / "tokenizer.json").read_text())
    content["model"]["vocab"] = {**vocabulary, "zz": 5000}
    (path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="the id of 'zz' is 5000"):
        check_vocabulary(load_tokenizer(str(path)), config_of(path, vocab_size=200))


def test_another_padding_token_than_the_models(folder, caplog):
    path = folder("bert")
    tokenizer = load_tokenizer(str(path))
    check_vocabulary(tokenizer, config_of(path))
    assert not caplog.records
    check_vocabulary(tokenizer, config_of(path, pad_token_id=7))
    assert "config.json has pad_token_id 7; padding is masked" in caplog.text
    check_vocabulary(tokenizer, config_of(path, pad_token_id=None))
    with pytest.raises(InputError, match="from which roberta counts positions; make them agree"):
        check_vocabulary(tokenizer, config_of(path, pad_token_id=7, model_type="roberta"))


def test_a_template_without_special_tokens(folder):
    path = folder("bert")
    tokenizer = load_tokenizer(str(path))
    check_template(tokenizer, pairs=True)
    edit(path, "tokenizer.json", post_processor=None)
    tokenizer = load_tokenizer(str(path))
    with pytest.raises(InputError, match="no special token before a text, where"):
        check_template(tokenizer, pairs=False)
    with pytest.raises(InputError, match="before a text and none between two texts, where"):
        check_template(tokenizer, pairs=True)


def test_padding_with_the_end_token_hides_no_end_from_the_loss(folder, tmp_path):
    path = edit(folder("t5"), pad_token="</s>")
    tokenizer = load_tokenizer(str(path), needs=("pad", "eos"))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    (tmp_path / "a.json").write_text(
        '{"text": "a b", "summary": "Ann"}\n{"text": "a", "summary": "Ann and Bob and Ann"}\n'
    )
    rows = read_examples(tmp_path / "a.json")
    batches = batch_examples(
        rows, 2, 16, encoder=Encoder(tokenizer), prefix="", max_source_length=16, buckets=1, seed=0
    )
    (batch,) = batches.evaluation()
    labels, mask = batch.arrays["labels"], batch.arrays["attention_mask"]
    assert ((labels == tokenizer.eos_token_id).sum(axis=1) == 1).all()
    lengths = [len(tokenizer(rows.documents[row])["input_ids"]) for row in batch.indices]
    assert mask.sum(axis=1).tolist() == lengths
