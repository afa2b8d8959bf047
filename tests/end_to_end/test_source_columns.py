"""A model knows the columns of its data by the names that the user's own files have for them."""

import json
import shutil

import pytest
import yaml
from support import scripts

from stages.data.tables import read_table
from stages.tasks.registry import TASKS

FILE = "source_columns.json"
# Of each task: the keys of `data`, to the user's column and the one of the standard form.
COLUMNS = {
    "glue": {
        "text_column_name": ("review", "sentence1"),
        "text_pair_column_name": ("answer", "sentence2"),
        "label_column_name": ("stars", "label"),
    },
    "ner": {"text_column_name": ("pieces", "tokens"), "label_column_name": ("kinds", "ner_tags")},
    "summarization": {
        "text_column": ("story", "document"),
        "summary_column": ("headline", "summary"),
    },
    "speech": {"audio_column_name": ("clip", "audio"), "text_column_name": ("said", "text")},
    "clm": {"text_column_name": ("body", "text")},
}
SOURCES = {"glue": "pairs.csv", "ner": "tags.json", "summarization": "summaries.json"}
# A column of the user's files that nothing reads, of the kind that the columns read are of.
UNREAD = {"ner": ["un", "read"]}


def standard_rows(task: str, files) -> list[dict]:
    """Rows of toy data, by the names of the standard form."""
    if task == "clm":
        return [{"text": text} for text in (files / "text.txt").read_text().split("\n\n")]
    if task == "speech":
        rows = read_table(files / "clips/metadata.jsonl").rows
        return [
            {"audio": str(files / "clips" / row["file_name"]), "text": row["text"]} for row in rows
        ]
    return [dict(row) for row in read_table(files / SOURCES[task]).rows]


def users_rows(task: str, rows: list[dict]) -> list[dict]:
    """The same rows as a user has them."""
    own = {standard: users for users, standard in COLUMNS[task].values()}
    return [
        {"unread": UNREAD.get(task, "not read"), **{own[name]: row[name] for name in own}}
        for row in rows
    ]


def write(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


SLOW = pytest.mark.slow(seconds=40)


@pytest.fixture(
    params=[
        pytest.param(task, marks=SLOW if task in ("summarization", "speech") else ())
        for task in COLUMNS
    ]
)
def project(request, files, checkpoint, tmp_path, monkeypatch):
    """Data fetched from a user's files, and the model that was trained on them."""
    task = request.param
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    if task == "speech":  # whose clips must lie within the source
        shutil.copytree(files / "clips", tmp_path / "mine/clips")
    rows = standard_rows(task, tmp_path / "mine" if task == "speech" else files)
    for split in ("train", "validation", "test"):
        write(tmp_path / f"mine/{split}.jsonl", users_rows(task, rows))
    named = {key: users for key, (users, _) in COLUMNS[task].items()}
    params = {"tasks": {task: {"data": {"source": "mine", **named}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    scripts.call("pipeline.fetch", task)
    assert json.loads((tmp_path / "data" / task / FILE).read_text()) == named
    suffix = TASKS[task].suffix
    scripts.call(
        scripts.SCRIPTS[task],
        f"--model_name_or_path={checkpoint(scripts.FAMILIES.get(task, 'bert'))}",
        f"--train_file=data/{task}/train{suffix}", "--do_train", "--output_dir=model",
        *scripts.training(task), *scripts.OWN[task],
    )  # fmt: skip
    return task, rows


def predicted(*words) -> list[dict]:
    shutil.rmtree("out", ignore_errors=True)
    scripts.call("predict", "model", *words, "--output_dir=out")
    (file,) = (path for path in scripts.Path("out").glob("*predictions.json"))
    return [
        {name: value for name, value in row.items() if name not in ("path", "row")}
        for row in scripts.json_lines(file)
    ]


def test_new_files_have_the_names_of_either(project, tmp_path):
    task, rows = project
    kept = json.loads((tmp_path / "model/flaxmill.json").read_text())
    assert kept["source_columns"] == {key: users for key, (users, _) in COLUMNS[task].items()}
    write(tmp_path / "users.jsonl", users_rows(task, rows))
    write(tmp_path / "standard.jsonl", rows)
    expected = predicted(f"data/{task}/test{TASKS[task].suffix}")
    assert len(expected) == len(rows)
    assert predicted("users.jsonl") == predicted("standard.jsonl") == expected
    if task != "clm":  # whose predictions are no score
        assert predicted("users.jsonl", "--score") == predicted("standard.jsonl", "--score")

    # Without what is to be predicted, among columns that no one reads.
    users, standard = next(iter(COLUMNS[task].values()))
    inputs = [
        {name: value for name, value in row.items() if name in ("unread", users, "answer")}
        for row in users_rows(task, rows)
    ]
    write(tmp_path / "inputs.jsonl", inputs)
    assert len(predicted("inputs.jsonl")) == len(rows)

    # Both names: a flag has to say which.
    both = [{**row, standard: row[users]} for row in inputs]
    if task == "glue":
        both = [{**row, "sentence2": row["answer"]} for row in both]
    write(tmp_path / "both.jsonl", both)
    line = scripts.refused("predict", "model", "both.jsonl", "--output_dir=out")
    key = next(iter(COLUMNS[task]))
    assert f"both.jsonl: which column is {standard}? there are '{standard}' and '{users}'" in line
    assert line.endswith(f"give --{key}")
    flags = [f"--{key}={users}", *(["--text_pair_column_name=answer"] if task == "glue" else [])]
    assert len(predicted("both.jsonl", *flags)) == len(rows)

    # A model that does not know the names: as it was before.
    del kept["source_columns"]
    (tmp_path / "model/flaxmill.json").write_text(json.dumps(kept))
    line = scripts.refused("predict", "model", "users.jsonl", "--output_dir=out")
    assert f"--{key}" in line


@SLOW
def test_what_fetch_wrote_is_read_by_the_standard_names(files, checkpoint, tmp_path, monkeypatch):
    """Though the source has the same names for other columns: stories of headlines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = standard_rows("summarization", files)
    for split in ("train", "validation", "test"):
        write(tmp_path / f"mine/{split}.jsonl", rows)
    data = {"source": "mine", "text_column": "summary", "summary_column": "document"}
    params = {"tasks": {"summarization": {"data": data}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    scripts.call("pipeline.fetch", "summarization")
    scripts.call(
        "run_summarization_flax", f"--model_name_or_path={checkpoint('t5')}",
        "--train_file=data/summarization/train.json", "--do_train", "--output_dir=model",
        *scripts.training("summarization"), *scripts.OWN["summarization"],
    )  # fmt: skip
    first = predicted("data/summarization/test.json")[0]
    assert first["document"] == rows[0]["summary"]
    line = scripts.refused("predict", "model", "mine/test.jsonl", "--output_dir=out")
    assert "which column is document? there are 'document' and 'summary'" in line


@pytest.mark.parametrize("content", ["[", "[1]", '{"text_column_name": 7}'])
def test_another_file_of_that_name_is_refused(content, checkpoint, files, tmp_path):
    shutil.copy(files / "pairs.csv", tmp_path / "train.csv")
    (tmp_path / FILE).write_text(content)
    line = scripts.refused(
        "run_flax_glue", f"--model_name_or_path={checkpoint()}", "--do_train",
        f"--train_file={tmp_path / 'train.csv'}", f"--output_dir={tmp_path / 'out'}",
        *scripts.TRAINING,
    )  # fmt: skip
    assert str(tmp_path / FILE) in line
