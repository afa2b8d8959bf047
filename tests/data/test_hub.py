"""Downloads from a hub and uploads to it: a server on 127.0.0.1, and data sets in folders."""

import argparse
import datetime
import json
import os
import subprocess
import sys

import datasets
import huggingface_hub
import pytest
from support import scripts, toy_data
from support.loopback import serve
from support.paths import TESTS

from stages.training import results


@pytest.fixture
def hub(checkpoint):
    """The server, with a tiny model and files that must not be requested."""
    files = scripts.tree(checkpoint()) | {"pytorch_model.bin": b"x", "model.py": b"x"}
    with serve(models={"owner/name": files}) as server:
        yield server


CALLS = """
import json, os, sys
from support import scripts
for script, *flags in json.loads(sys.argv[1]):
    try:
        scripts.call(script, *flags)
    except SystemExit as stop:
        print("stopped", stop.code, file=sys.stderr)
"""


@pytest.mark.slow(seconds=8)
def test_a_model_from_the_hub_and_one_to_it(hub, checkpoint, files, tmp_path):
    (tmp_path / "params.yaml").write_text(
        "checkpoints:\n"
        "  it: {id: owner/name, revision: v1, model_type: bert}\n"
        "  gone: {id: owner/gone, model_type: bert}\n"
        "  other: {id: owner/name, model_type: gpt2}\n"
        "  bare: {id: owner/name}\n"
    )
    train = [
        "--model_name_or_path=owner/name", f"--train_file={files / 'pairs.csv'}",
        f"--output_dir={tmp_path / 'out'}", "--do_train", *scripts.TRAINING,
        "--push_to_hub", "--hub_model_id=owner/pushed", "--hub_token=hf_secret",
    ]  # fmt: skip
    calls = [
        ["pipeline.fetch_checkpoint", "it", f"--output_dir={tmp_path / 'checkpoints/it'}"],
        ["pipeline.fetch_checkpoint", "gone", f"--output_dir={tmp_path / 'checkpoints/gone'}"],
        ["pipeline.fetch_checkpoint", "other", f"--output_dir={tmp_path / 'checkpoints/other'}"],
        ["pipeline.fetch_checkpoint", "bare", f"--output_dir={tmp_path / 'checkpoints/bare'}"],
        ["run_flax_glue", *train],
    ]
    run = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(calls)],
        cwd=tmp_path,
        env={
            **os.environ, "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(TESTS),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    # The result is a folder of plain files without the pickle and the script.
    assert scripts.tree(tmp_path / "checkpoints") == {
        f"it/{name}": content for name, content in scripts.tree(checkpoint()).items()
    }
    assert not [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_symlink()]
    assert not [path for path in hub.asked if "pytorch_model" in path or "model.py" in path]
    assert any("v1" in path for path in hub.asked)
    # One that does not exist: one line, and no traceback.
    assert (
        "error: checkpoints.gone: owner/gone: no such folder, and not reached on the hub"
        in run.stderr
    )
    where = "error: params.yaml: checkpoints"
    assert (
        f"{where}.other.model_type is 'gpt2', but owner/name is of type 'bert'; write that"
    ) in run.stderr
    assert f"{where}.bare.model_type is missing; give the model_type of its con" in run.stderr
    assert run.stderr.count("stopped 1") == run.stderr.count("stopped") == 3, run.stderr
    assert "Traceback" not in run.stderr
    assert hub.created == ["pushed"]
    written = scripts.tree(tmp_path / "out")
    assert hub.uploaded == {
        name: content for name, content in written.items() if not name.startswith("runs/")
    }
    written = {"model.safetensors", "config.json", "flaxmill.json", "tokenizer.json"}
    assert written <= set(hub.uploaded)
    assert not any(b"hf_secret" in content for content in hub.uploaded.values())
    assert "hf_secret" not in run.stdout + run.stderr


@pytest.mark.parametrize("error", ["offline", "refused", "empty"])
def test_an_upload_that_fails(error, trained, monkeypatch, files, tmp_path):
    def refuse(*args, **options):
        raise {"refused": ConnectionError("refused\nmore"), "empty": RuntimeError()}[error]

    if error != "offline":
        monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    line = scripts.refused(
        "run_flax_glue", f"--model_name_or_path={trained('glue')}", "--do_predict",
        f"--test_file={files / 'pairs.csv'}", f"--output_dir={tmp_path}",
        "--push_to_hub", "--hub_model_id=owner/it", "--max_seq_length=24", "--length_buckets=1",
        "--per_device_eval_batch_size=4",
    )  # fmt: skip
    assert line.startswith("error: --push_to_hub to owner/it failed (")
    assert line.endswith(f"{tmp_path} is whole, only the upload is missing")
    assert (tmp_path / "predictions.json").exists()


@pytest.fixture
def dataset(tmp_path):
    """`dataset(name, columns, features)`: a folder that `datasets` loads, with both splits."""

    def make(columns, features):
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        folder = tmp_path / "set"
        folder.mkdir()
        for split in ("train", "validation", "test"):
            table.to_parquet(str(folder / f"{split}.parquet"))
        return folder

    return make


def test_a_data_set_of_classes(dataset, checkpoint, trained, tmp_path):
    """Classes are fetched by name, with the same bytes as from the file."""
    columns = {
        "sentence1": [one for one, _, _ in toy_data.PAIRS],
        "sentence2": [two for _, two, _ in toy_data.PAIRS],
        "label": [["same", "other"].index(label) for _, _, label in toy_data.PAIRS],
    }
    text, names = datasets.Value("string"), datasets.ClassLabel(names=["same", "other"])
    folder = dataset(columns, {"sentence1": text, "sentence2": text, "label": names})
    scripts.call(
        "run_flax_glue", f"--model_name_or_path={checkpoint()}", f"--dataset_name={folder}",
        f"--output_dir={tmp_path / 'out'}", "--do_train", "--do_eval", "--do_predict",
        *scripts.TRAINING,
    )  # fmt: skip
    for name in ("model.safetensors", "eval_results.json", "eval_predictions.json"):
        assert (tmp_path / "out" / name).read_bytes() == (trained("glue") / name).read_bytes()


def test_hidden_labels_of_a_data_set(dataset, trained, tmp_path):
    """A test split of the hub has -1 for every label; it can be predicted, not evaluated."""
    columns = {"sentence1": ["Bob stayed ."] * 2, "sentence2": ["Bob ."] * 2, "label": [-1, -1]}
    text, names = datasets.Value("string"), datasets.ClassLabel(names=["same", "other"])
    folder = dataset(columns, {"sentence1": text, "sentence2": text, "label": names})
    common = ["run_flax_glue", f"--model_name_or_path={trained('glue')}",
              f"--dataset_name={folder}", f"--output_dir={tmp_path / 'out'}"]  # fmt: skip
    scripts.call(*common, "--do_predict")
    rows = scripts.json_lines(tmp_path / "out/predictions.json")
    assert [row.keys() for row in rows] == 2 * [
        {"sentence1", "sentence2", "prediction", "probability"}
    ]
    assert "sign for hidden labels" in scripts.refused(*common, "--do_eval")


def test_a_data_set_of_tags_with_a_column_that_no_task_reads(dataset, checkpoint, tmp_path):
    tags = ["O", "B-PER", "I-PER", "B-LOC"]
    columns = {
        "tokens": [words.split() for words, _ in toy_data.SENTENCES],
        "ner_tags": [[tags.index(tag) for tag in row.split()] for _, row in toy_data.SENTENCES],
        "written": [datetime.date(2020, 1, 1)] * len(toy_data.SENTENCES),
    }
    text = datasets.Value("string")
    features = {
        "tokens": datasets.List(text),
        "ner_tags": datasets.List(datasets.ClassLabel(names=tags)),
        "written": datasets.Value("date32"),
    }
    folder = dataset(columns, features)
    scripts.call(
        "run_flax_ner", f"--model_name_or_path={checkpoint()}", f"--dataset_name={folder}",
        f"--output_dir={tmp_path / 'out'}", "--do_train", "--do_eval", *scripts.TRAINING,
    )  # fmt: skip
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert set(config["id2label"].values()) == set(tags)
    rows = scripts.json_lines(tmp_path / "out/eval_predictions.json")
    assert [" ".join(row["ner_tags"]) for row in rows] == [row for _, row in toy_data.SENTENCES]


@pytest.mark.parametrize(
    ("name", "split", "said"),
    [
        ("FOLDER/none", "validation", "--dataset_name FOLDER/none: no such folder;"),
        ("owner/name", "validation", "--dataset_name owner/name, split validation: cannot be loa"),
        ("FOLDER/set", "nosplit", "split nosplit: cannot be loaded (Unknown split"),
        ("FOLDER/broken", "validation", "FOLDER/broken, split validation: cannot be loaded ("),
    ],
)
def test_a_data_set_that_cannot_be(name, split, said, dataset, trained, tmp_path):
    dataset({"text": ["a"]}, {"text": datasets.Value("string")})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/validation.json").write_text('{"a": [1}\n')
    line = scripts.refused(
        "run_mlm_flax", f"--model_name_or_path={trained('mlm')}", "--do_eval",
        f"--dataset_name={name.replace('FOLDER', str(tmp_path))}", f"--eval_split_name={split}",
        f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert said.replace("FOLDER", str(tmp_path)) in line


def test_figures_that_are_no_number_are_null(tmp_path, capsys):
    args = argparse.Namespace(output_dir=tmp_path, metrics_file=str(tmp_path / "m.json"))
    results.write_results(args, "eval", {"eval_b": float("nan"), "eval_a": 0.5})
    assert (tmp_path / "m.json").read_text() == '{\n "eval_a": 0.5,\n "eval_b": null\n}\n'
    assert capsys.readouterr().out == "eval_a = 0.5\neval_b = undefined\n"
