"""The four scripts from end to end on tiny models: what they write, and that it can be used."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from support import scripts, toy_data
from support.paths import ROOT

from stages import models
from stages.models.parameters import dotted, named_parameters

MODEL = {
    "README.md", "config.json", "flaxmill.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip
RESULTS = {"train_results.json", "eval_results.json", "test_results.json"}
WRITTEN = {
    "mlm": {"eval_predictions.json", "predictions.json"},
    "glue": {"eval_predictions.json", "predictions.json"},
    "ner": {"eval_predictions.json", "predictions.json"},
    "qa": {
        *(f"{split}_{name}.json" for split in ("eval", "predict")
          for name in ("predictions", "nbest_predictions", "null_odds")),
    },
}  # fmt: skip
METRICS = {
    "mlm": {"loss", "accuracy", "perplexity", "bits_per_byte", "samples"},
    "glue": {"loss", "accuracy", "samples"},
    "ner": {"loss", "accuracy", "precision", "recall", "f1", "samples"},
    "qa": {
        "exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total", "NoAns_exact",
        "NoAns_f1", "NoAns_total", "best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh",
        "samples",
    },
}  # fmt: skip
ROWS = {"mlm": (5, 2), "glue": (7, 7), "ner": (5, 5), "qa": (5, 5)}


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_what_a_run_leaves(task, trained):
    folder = trained(task)
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == MODEL | RESULTS | WRITTEN[task]
    assert {path.name for path in (folder / "runs").glob("*.*s*")} >= {
        "train.csv",
        "validation.csv",
        "times.json",
    }
    found = scripts.results(folder)
    assert found.keys() == {f"eval_{name}" for name in METRICS[task]}
    assert list(found) == sorted(found)
    train = scripts.results(folder, "train")
    assert train.keys() == {"train_loss", "train_samples"}
    samples, predicted = ROWS[task]
    assert scripts.results(folder, "test") == {"test_samples": predicted}
    if task != "mlm":  # whose rows are packed text
        assert found["eval_samples"] == train["train_samples"] == samples
    losses = [float(row["loss"]) for row in csv.DictReader((folder / "runs/train.csv").open())]
    assert len(losses) == 3
    assert all(0 < loss < 20 for loss in losses)


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_training_changed_the_weights_that_are_saved(task, trained, checkpoint):
    head = {"mlm": "masked_lm", "glue": "sequence_classification", "ner": "token_classification",
            "qa": "question_answering"}[task]  # fmt: skip
    before, after = (
        {dotted(path): np.asarray(param[...]) for path, param in named_parameters(model)}
        for model in (
            models.from_pretrained(folder, "masked_lm" if folder != trained(task) else head)
            for folder in (checkpoint(), trained(task))
        )
    )
    name = "layers.0.query.kernel"
    assert not np.array_equal(before[name], after[name])
    # Three steps of at most 0.01, and as much again for what AdamW's first steps overshoot.
    assert np.abs(before[name] - after[name]).max() < 0.06


def test_labels_are_saved(trained):
    glue = json.loads((trained("glue") / "config.json").read_text())
    assert glue["id2label"] == {"0": "other", "1": "same"}
    assert glue["label2id"] == {"other": 0, "same": 1}
    assert glue["architectures"] == ["BertForSequenceClassification"]
    ner = json.loads((trained("ner") / "config.json").read_text())
    assert ner["id2label"] == {"0": "B-LOC", "1": "B-PER", "2": "I-PER", "3": "O"}
    qa = json.loads((trained("qa") / "config.json").read_text())
    assert qa["architectures"] == ["BertForQuestionAnswering"]


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_a_saved_folder_evaluates_and_predicts_the_same(task, trained, files, tmp_path):
    folder = trained(task)
    test_file = "masked.txt" if task == "mlm" else scripts.FILES[task]
    scripts.call(
        scripts.SCRIPTS[task],
        f"--model_name_or_path={folder}",
        f"--validation_file={files / scripts.FILES[task]}",
        f"--test_file={files / test_file}",
        f"--output_dir={tmp_path / 'out'}",
        f"--metrics_file={tmp_path / 'metrics.json'}",
        "--do_eval",
        "--do_predict",
        "--max_seq_length=24",
        "--per_device_eval_batch_size=4",
        "--length_buckets=1",
        *scripts.OWN[task],
    )
    for name in WRITTEN[task] | {"eval_results.json", "test_results.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes(), name
    assert not (tmp_path / "out/model.safetensors").exists()


def test_the_metrics_file_is_that_of_the_evaluation(trained, files, tmp_path):
    scripts.call(
        "run_flax_glue",
        f"--model_name_or_path={trained('glue')}",
        f"--validation_file={files / 'pairs.csv'}",
        f"--output_dir={tmp_path / 'out'}",
        f"--metrics_file={tmp_path / 'deep/metrics.json'}",
        "--do_eval",
        "--max_eval_samples=4",
        "--max_seq_length=24",
    )
    metrics = json.loads((tmp_path / "deep/metrics.json").read_text())
    assert metrics == scripts.results(tmp_path / "out")
    assert metrics["eval_samples"] == 4


@pytest.mark.parametrize(
    ("task", "file", "name"),
    [
        ("glue", "unlabelled.csv", "predictions.json"),
        ("ner", "words.json", "predictions.json"),
        ("qa", "questions.json", "predict_predictions.json"),
    ],
)
def test_prediction_needs_no_labels(task, file, name, trained, files, tmp_path):
    scripts.call(
        scripts.SCRIPTS[task],
        f"--model_name_or_path={trained(task)}",
        f"--test_file={files / file}",
        f"--output_dir={tmp_path}",
        "--do_predict",
        "--max_seq_length=24",
        "--per_device_eval_batch_size=4",
        "--length_buckets=1",
        *scripts.OWN[task],
    )
    if task == "qa":
        assert (tmp_path / name).read_bytes() == (trained(task) / name).read_bytes()
        return
    labelled = scripts.json_lines(trained(task) / name)
    labels = [row.pop({"glue": "label", "ner": "ner_tags"}[task]) for row in labelled]
    assert scripts.json_lines(tmp_path / name) == labelled
    if task == "glue":
        assert labels == [label for _, _, label in toy_data.PAIRS]
        assert {row["prediction"] for row in labelled} <= {"same", "other"}
        assert all(0.5 <= row["probability"] <= 1 for row in labelled)
    else:
        assert all(len(row["tokens"]) == len(row["predictions"]) for row in labelled)


def run(task, checkpoint, files, folder, name, *flags):
    scripts.call(
        scripts.SCRIPTS[task],
        f"--model_name_or_path={checkpoint()}",
        f"--train_file={files / name}",
        f"--validation_file={files / name}",
        f"--output_dir={folder}",
        "--do_train",
        "--do_eval",
        *scripts.TRAINING,
        *scripts.OWN[task],
        *flags,
    )
    return scripts.results(folder)


def test_a_regression(checkpoint, files, tmp_path):
    found = run("glue", checkpoint, files, tmp_path, "scores.csv", "--task_name=stsb")
    assert found.keys() == {"eval_pearson", "eval_spearmanr", "eval_loss", "eval_samples"}
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["problem_type"], len(config["id2label"])) == ("regression", 1)
    rows = scripts.json_lines(tmp_path / "eval_predictions.json")
    scores = [row["prediction"] for row in rows]
    truth = [0.75 * number for number in range(7)]
    assert [row["label"] for row in rows] == truth
    assert found["eval_loss"] == pytest.approx(np.square(np.subtract(scores, truth)).mean(), 1e-5)
    assert found["eval_pearson"] == pytest.approx(np.corrcoef(scores, truth)[0, 1], rel=1e-5)
    # The folder knows that it is a regression, though these labels are whole numbers.
    whole = tmp_path / "whole.csv"
    whole.write_text("sentence1,sentence2,label\nBob .,Alice .,3\nIn May .,Bob stayed .,0\n")
    scripts.call(
        "run_flax_glue",
        f"--model_name_or_path={tmp_path}",
        f"--validation_file={whole}",
        f"--output_dir={tmp_path / 'again'}",
        "--do_eval",
        "--task_name=none",
    )
    assert scripts.results(tmp_path / "again").keys() == {"eval_mse", "eval_loss", "eval_samples"}


def test_single_sentences_of_three_classes(checkpoint, files, tmp_path):
    run("glue", checkpoint, files, tmp_path, "single.json", "--max_train_samples=6")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "0", "1": "1", "2": "2"}
    rows = scripts.json_lines(tmp_path / "eval_predictions.json")
    assert rows[0].keys() == {"sentence1", "label", "prediction", "probability"}
    assert scripts.results(tmp_path, "train")["train_samples"] == 6


def test_all_pieces_labelled_and_each_type_reported(checkpoint, files, trained, tmp_path):
    found = run("ner", checkpoint, files, tmp_path, "tags.json",
                "--label_all_tokens", "--return_entity_level_metrics")  # fmt: skip
    assert {"eval_PER_f1", "eval_LOC_number"} <= found.keys()
    assert (found["eval_PER_number"], found["eval_LOC_number"]) == (4, 4)
    # Another loss: more tokens are labelled.
    first = [(folder / "runs/train.csv").read_text().splitlines()[1]
             for folder in (tmp_path, trained("ner"))]  # fmt: skip
    assert first[0] != first[1]


def test_nested_and_flat_squad_are_the_same(checkpoint, files, trained, tmp_path):
    found = run("qa", checkpoint, files, tmp_path, "flat.json")
    assert found == scripts.results(trained("qa"))
    assert found["eval_NoAns_total"] == 1
    names = [path.name for path in tmp_path.glob("eval_*predictions.json")]
    assert sorted(names) == ["eval_nbest_predictions.json", "eval_predictions.json"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (trained("qa") / name).read_bytes()


def test_new_weights_need_no_checkpoint(checkpoint, files, tokenizer, tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in MODEL - {"flaxmill.json", "model.safetensors", "README.md"}:
        (folder / name).write_bytes((checkpoint() / name).read_bytes())
    scripts.call(
        "run_mlm_flax",
        f"--config_name={folder}",
        f"--tokenizer_name={folder}",
        f"--train_file={files / 'text.txt'}",
        f"--output_dir={tmp_path / 'out'}",
        "--do_train",
        *scripts.TRAINING,
        "--line_by_line",
        "--pad_to_max_length",
    )
    # A row a line, and more for the lines that are too long for one.
    lines = [line for line in toy_data.TEXT.splitlines() if line]
    rows = sum(-(-len(tokenizer.tokenize(line)) // 22) for line in lines)
    assert rows > len(lines)
    assert scripts.results(tmp_path / "out", "train")["train_samples"] == rows
    models.from_pretrained(tmp_path / "out", "masked_lm")


@pytest.mark.slow
def test_a_script_is_a_program_too():
    """A script run as the reference suite has it, with `stages/` itself on the path."""
    line = [sys.executable, "stages/run_qa.py", "--help"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "--n_best_size INT" in done.stdout
