"""The script of summarization, on a model that learns four stories by heart."""

import json

import jax
import numpy as np
import pytest
from support import scripts
from support.toy_data import STORIES
from support.toy_tokenizers import word_tokenizer
from transformers import T5Config

from stages.core.errors import InputError
from stages.core.files import write_json_lines
from stages.models import from_config, from_pretrained, save_pretrained
from stages.run_summarization_flax import generation_options
from stages.tasks.summarization.arguments import SummarizationArguments

SCRIPT = "run_summarization_flax"


@pytest.fixture(scope="module")
def words():
    return word_tokenizer()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, words):
    """A T5 with one layer a side and new weights."""
    config = T5Config(
        vocab_size=len(words), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=1,
        num_heads=2, dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("t5")
    save_pretrained(from_config(config, "seq2seq_lm", seed=3), path)
    words.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """`rows.json` with summaries, `documents.json` without."""
    path = tmp_path_factory.mktemp("files")
    rows = [{"document": document, "summary": summary} for document, summary in STORIES]
    write_json_lines(path / "rows.json", rows)
    write_json_lines(path / "documents.json", [{"document": row["document"]} for row in rows])
    return path


GENERATE = ("--predict_with_generate", "--max_source_length=16", "--max_target_length=8")


@pytest.fixture(scope="module")
def trained(folder, files, tmp_path_factory):
    """A run that learns the four rows by heart, evaluates and predicts."""
    out = tmp_path_factory.mktemp("runs") / "out"
    scripts.call(
        SCRIPT, f"--model_name_or_path={folder}", f"--train_file={files}/rows.json",
        f"--validation_file={files}/rows.json", f"--test_file={files}/rows.json",
        f"--output_dir={out}", f"--metrics_file={out}/metrics.json", "--do_train", "--do_eval",
        "--do_predict", "--max_steps=60", "--eval_steps=60", "--learning_rate=2e-2",
        "--per_device_train_batch_size=4", "--per_device_eval_batch_size=3", "--length_buckets=1",
        *GENERATE,
    )  # fmt: skip
    return out


def run(model, files, out, *flags, file="rows.json", mode="predict"):
    """Predict or evaluate; the results."""
    name = "test_file" if mode == "predict" else "validation_file"
    scripts.call(
        SCRIPT, f"--model_name_or_path={model}", f"--{name}={files}/{file}", f"--output_dir={out}",
        f"--do_{mode}", "--length_buckets=1", *flags,
    )  # fmt: skip
    return scripts.results(out, "test" if mode == "predict" else "eval")


def test_rows_are_learned(trained):
    results = scripts.results(trained, "test")
    assert {
        name: results[f"test_{name}"] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")
    } == dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), pytest.approx(100.0))
    assert results["test_names_right"] == 1.0
    # Three words and the end.
    assert results["test_gen_len"] == 4.0
    assert results["test_samples"] == 4
    assert set(results) == {
        "test_gen_len", "test_loss", "test_names_right", "test_rouge1", "test_rouge2",
        "test_rougeL", "test_rougeLsum", "test_samples",
    }  # fmt: skip
    assert json.loads((trained / "metrics.json").read_text()) == results
    # The same rows, evaluated.
    evaluated = scripts.results(trained)
    assert evaluated == {name.replace("test_", "eval_"): value for name, value in results.items()}
    assert set(scripts.results(trained, "train")) == {"train_loss", "train_samples"}
    rows = scripts.json_lines(trained / "predictions.json")
    assert rows == [
        {"document": document, "summary": summary, "prediction": summary}
        for document, summary in STORIES
    ]
    assert scripts.json_lines(trained / "eval_predictions.json") == rows


@pytest.mark.slow
def test_losses(folder, words, files, tmp_path):
    model = jax.jit(from_pretrained(folder, "seq2seq_lm"))
    total = smoothed = count = 0.0
    # The label's share and each other's, and the entropy that such targets have themselves.
    low = 0.3 / (len(words) - 1)
    entropy = -0.7 * np.log(0.7) - 0.3 * np.log(low)
    for document, summary in STORIES[:2]:
        ids, labels = (words([text], verbose=False)["input_ids"] for text in (document, summary))
        logits = model(np.array(ids), decoder_input_ids=np.array([[0, *labels[0][:-1]]]))[0]
        odds = np.array(jax.nn.log_softmax(logits))
        for place, token in enumerate(labels[0]):
            total -= odds[place, token]
            others = odds[place].sum() - odds[place, token]
            smoothed -= 0.7 * odds[place, token] + low * others + entropy
            count += 1
    expected = {"eval_loss": pytest.approx(total / count, rel=1e-5), "eval_samples": 2}
    # Of a token, however rows are batched and a batch is filled up.
    assert run(folder, files, tmp_path / "a", "--per_device_eval_batch_size=1",
               "--max_eval_samples=2", mode="eval") == expected  # fmt: skip
    # Smoothed in training alone; a learning rate that changes nothing.
    found = run(
        folder, files, tmp_path / "b", f"--train_file={files}/rows.json", "--do_train",
        "--max_train_samples=2", "--max_eval_samples=2", "--per_device_train_batch_size=2",
        "--per_device_eval_batch_size=3", "--num_train_epochs=1", "--learning_rate=1e-12",
        "--label_smoothing_factor=0.3", mode="eval",
    )  # fmt: skip
    assert found == expected
    train_loss = scripts.results(tmp_path / "b", "train")["train_loss"]
    assert train_loss == pytest.approx(smoothed / count, rel=1e-5)
    assert train_loss != pytest.approx(total / count, rel=1e-2)


def test_without_generation(trained, files, tmp_path):
    found = run(trained, files, tmp_path, "--predict_with_generate=false")
    assert found == {"test_loss": pytest.approx(scripts.results(trained)["eval_loss"], rel=1e-5),
                     "test_samples": 4}  # fmt: skip
    assert not (tmp_path / "predictions.json").exists()


def test_without_summaries(trained, files, tmp_path):
    found = run(trained, files, tmp_path, *GENERATE, file="documents.json")
    assert found == {"test_gen_len": 4.0, "test_samples": 4}
    assert scripts.json_lines(tmp_path / "predictions.json") == [
        {"document": document, "prediction": summary} for document, summary in STORIES
    ]
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={trained}", f"--test_file={files}/documents.json",
        f"--output_dir={tmp_path}", "--do_predict", "--predict_with_generate=false",
    )  # fmt: skip
    assert line.endswith("documents.json: no summaries to score; add --predict_with_generate to "
                         "write some")  # fmt: skip


def generating(**given):
    return SummarizationArguments(
        model_name_or_path="m", output_dir="o", do_predict=True, test_file="f",
        predict_with_generate=True, **given,
    )  # fmt: skip


def test_generation_options(folder):
    model = from_pretrained(folder, "seq2seq_lm")
    given = {"num_beams": 3, "length_penalty": 2.0, "min_length": 5, "no_repeat_ngram_size": 2}
    options = generation_options(model, generating(**given))
    assert {name: getattr(options, name) for name in given} == given
    assert options.max_length == 128
    # What is not given is the model's.
    model.generation_config.num_beams = 4
    options = generation_options(model, generating(val_max_target_length=9, length_penalty=0.5))
    assert (options.num_beams, options.length_penalty, options.max_length) == (4, 0.5, 9)
    model.generation_config.num_beams = 1
    with pytest.raises(InputError, match="--length_penalty is for beam search; add --num_beams"):
        generation_options(model, generating(length_penalty=0.5))


@pytest.mark.slow
def test_generation_flags_reach_the_search(trained, files, tmp_path):
    found = run(
        trained, files, tmp_path, *GENERATE, "--num_beams=2", "--min_length=7",
        "--max_predict_samples=2",
    )  # fmt: skip
    # The start token does not count, but makes the minimum six behind it, the end apart.
    assert found["test_gen_len"] >= 7
    assert found["test_samples"] == 2
    # Without beams, up to a maximum of four: three words, and no room for the end.
    found = run(trained, files, tmp_path, *GENERATE, "--val_max_target_length=4")
    assert found["test_gen_len"] == 3.0
    assert found["test_rouge1"] == pytest.approx(100.0)


@pytest.mark.parametrize("split", ["train_file", "validation_file", "test_file"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"document": None, "summary": "S"}, "line 2: 'document' is null; expected a document"),
        ({"document": "D", "summary": None}, "line 2: 'summary' is null; expected a summary"),
    ],
)
def test_bad_rows_cost_nothing(split, row, said, folder, files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.safetensors").write_bytes(b"an earlier one")
    named = dict.fromkeys(("train_file", "validation_file", "test_file"), files / "rows.json")
    named[split] = tmp_path / "bad.json"
    write_json_lines(named[split], [{"document": "D", "summary": "S"}, row])
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={folder}", f"--output_dir={out}", "--overwrite_output_dir",
        "--do_train", "--do_eval", "--do_predict", *GENERATE,
        *(f"--{name}={path}" for name, path in named.items()),
    )  # fmt: skip
    assert f"bad.json, {said}" in line
    assert scripts.tree(out) == {"model.safetensors": b"an earlier one"}
