"""What a trained folder keeps, and what evaluation and prediction take from it."""

import json
import shutil

import pytest
from support import scripts

from stages.core.schema import kept_for
from stages.tasks.registry import TASKS, arguments_class

FILE = "flaxmill.json"


def kept(folder) -> dict:
    return json.loads((folder / FILE).read_text())["arguments"]


@pytest.fixture
def copy(trained, tmp_path):
    """`copy(task, change)`: a trained folder of the test's own, with another file in it."""

    def make(task: str, content: str | None = None, **arguments):
        folder = tmp_path / "model"
        shutil.copytree(trained(task), folder, ignore=shutil.ignore_patterns("runs"))
        if arguments:
            values = json.loads((folder / FILE).read_text())
            values["arguments"] |= arguments
            content = json.dumps(values)
        if content is not None:
            (folder / FILE).write_text(content)
        return folder

    return make


def predict(task, model, files, out, *flags, test_file=None) -> str:
    test_file = test_file or files / scripts.TEST_FILES.get(task, scripts.FILES[task])
    return scripts.call(
        scripts.SCRIPTS[task], f"--model_name_or_path={model}", f"--test_file={test_file}",
        f"--output_dir={out}", "--do_predict", *flags,
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_the_file_has_what_prediction_needs_and_no_more(task, trained):
    text = (trained(task) / FILE).read_text()
    content = json.loads(text)
    assert content["task"] == task
    fields = arguments_class(task).model_fields
    assert list(content["arguments"]) == sorted(n for n, one in fields.items() if kept_for(one))
    assert (
        not {"learning_rate", "max_steps", "train_file", "output_dir"}
        & set(fields)
        & set(content["arguments"])
    )
    assert str(trained(task).parent) not in text


def test_columns_are_kept_as_they_were_chosen(trained, checkpoint, files, tmp_path):
    assert kept(trained("glue"))["text_pair_column_name"] == "sentence2"
    assert kept(trained("glue"))["label_column_name"] is None  # found by its name
    table = tmp_path / "reviews.csv"
    table.write_text("id,review,stars\n1,good,5\n2,bad,1\n3,fine,5\n4,poor,1\n")
    scripts.call(
        "run_flax_glue", f"--model_name_or_path={checkpoint()}", f"--train_file={table}",
        "--text_column_name=review", "--label_column_name=stars", "--do_train",
        f"--output_dir={tmp_path / 'out'}", *scripts.TRAINING,
    )  # fmt: skip
    found = kept(tmp_path / "out")
    names = ("text_column_name", "text_pair_column_name", "label_column_name")
    assert [found[name] for name in names] == ["review", None, "stars"]
    # Another column is neither a second sentence nor a label that has to be there.
    table.write_text("id,country,review\n1,at,good\n2,fr,bad\n")
    predict("glue", tmp_path / "out", files, tmp_path / "new", test_file=table)
    rows = scripts.json_lines(tmp_path / "new/predictions.json")
    assert [row["sentence1"] for row in rows] == ["good", "bad"]
    assert not any("sentence2" in row for row in rows)
    line = scripts.refused(
        "run_flax_glue", f"--model_name_or_path={tmp_path / 'out'}", f"--validation_file={table}",
        f"--output_dir={tmp_path / 'new'}", "--do_eval",
    )  # fmt: skip
    assert "no column 'stars' (--label_column_name)" in line


@pytest.mark.parametrize("task", ["qa", "summarization"])
def test_a_flag_that_contradicts_is_obeyed_and_said(task, trained, files, tmp_path):
    name, value, had = {
        "qa": ("version_2_with_negative", "false", "True"),
        "summarization": ("source_prefix", "tldr: ", "'summarize: '"),
    }[task]
    folder = tmp_path / "model"
    shutil.copytree(trained(task), folder, ignore=shutil.ignore_patterns("runs"))
    if task == "summarization":  # which refuses a prefix that config.json does not have
        config = json.loads((folder / "config.json").read_text())
        config["task_specific_params"] = None
        (folder / "config.json").write_text(json.dumps(config))
    said = predict(task, folder, files, tmp_path / "out", f"--{name}={value}", "--n_best_size=3"
                   if task == "qa" else "--num_beams=2")  # fmt: skip
    assert f"--{name} " in said
    assert f"is used; {folder / FILE} has {had}" in said
    assert said.count(" is used; ") == 2
    if task == "qa":
        assert not (tmp_path / "out/predict_null_odds.json").exists()


def test_what_is_given_as_it_is_kept_says_nothing(trained, files, tmp_path):
    said = predict("qa", trained("qa"), files, tmp_path, *scripts.OWN["qa"], "--max_seq_length=24")
    assert "is used" not in said


def test_training_takes_nothing(trained, files, tmp_path):
    scripts.call(
        "run_qa", f"--model_name_or_path={trained('qa')}", f"--output_dir={tmp_path / 'out'}",
        f"--train_file={files / 'nested.json'}", "--version_2_with_negative", "--do_train",
        "--max_steps=1", "--length_buckets=1", "--max_seq_length=200",
    )  # fmt: skip
    assert kept(tmp_path / "out")["doc_stride"] == 128


def test_nothing_is_taken_from_a_model_for_another_task(copy, files, tmp_path):
    text = (copy("t5_mlm") / FILE).read_text()
    said = scripts.call(
        "run_summarization_flax", f"--model_name_or_path={tmp_path / 'model'}",
        f"--validation_file={files / 'summaries.json'}", "--do_eval", "--max_target_length=6",
        f"--output_dir={tmp_path / 'out'}", "--max_source_length=24",
    )  # fmt: skip
    assert f"{tmp_path / 'model' / FILE}: of a model for t5_mlm, so nothing is taken" in said
    assert (tmp_path / "model" / FILE).read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"task": "qa"}', "arguments is missing"),
        ('{"task": 3, "arguments": {}}', "task is 3; expected text"),
        ('{"mills": 3, "task": "qa", "arguments": {}}', "unknown key 'mills'"),
        ('{"task": "qa", "arguments": {"doc_strid": 4}}', "did you mean 'doc_stride'"),
        # Kept by no folder: a stranger's file cannot say where to write or what to upload.
        ('{"task": "qa", "arguments": {"output_dir": "x"}}', "unknown key 'output_dir'"),
        ('{"task": "qa", "arguments": {"hub_token": "x"}}', "unknown key 'hub_token'"),
        ('{"task": "qa", "arguments": {"doc_stride": "far"}}', "arguments.doc_stride is 'far'"),
        (
            '{"task": "qa", "arguments": {}, "source_columns": {"doc": "x"}}',
            "source_columns: unknown key 'doc'",
        ),
        (
            '{"task": "qa", "arguments": {}, "source_columns": {"doc_stride": 4}}',
            "source_columns.doc_stride is 4; expected text",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(content, message, copy, files, tmp_path):
    model = copy("qa", content)
    line = scripts.refused(
        "run_qa", f"--model_name_or_path={model}", f"--test_file={files / 'flat.json'}",
        f"--output_dir={tmp_path / 'out'}", "--do_predict",
    )  # fmt: skip
    assert message in line
    assert str(model / FILE) in line
