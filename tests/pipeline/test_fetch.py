"""`stages.pipeline.check` and `stages.pipeline.fetch`: what they refuse, leave and write."""

import json
import shutil

import pytest
import yaml
from support import scripts, toy_data
from support.paths import ROOT

from stages.core.errors import InputError
from stages.data.source import DataSource
from stages.pipeline import check
from stages.tasks.glue.examples import read_examples
from stages.training import inputs

HEAD = "sentence1,sentence2,label\n"
TAGGED = '{"tokens": ["Bob", "stayed"], "ner_tags": ["B-PER", "O"]}\n'


def misplaced():
    """SQuAD whose first answer is not where it should be."""
    content = toy_data.squad(nested=False)
    content["data"][0]["answers"]["answer_start"] = [0]
    return json.dumps(content, indent=1)


PARAMS = {
    "seeds": {},
    "newsroom": {"seed": 1, "events": {"train": 8, "validation": 4, "test": 4}},
    "tokenizers": {
        "encoder": {"text": "text.txt", "vocab_size": 120, "config": {"model_type": "bert"}},
    },
    "checkpoints": {"it": {"id": "owner/model", "model_type": "bert"}},
    "gates": {"glue": {"eval_f1": {"min": 0.5}}},
    "tasks": {
        "glue": {
            "data": {"source": "data/newsroom/glue"},
            "model_name_or_path": "models/start/encoder",
            "seed": 1,
        },
    },
}


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("tasks.glue.learnin_rate", 1, "p.yaml: tasks.glue: unknown key 'learnin_rate'; did you"),
        ("tasks.glue.seed", "x", "p.yaml: tasks.glue.seed is 'x'; expected a whole number"),
        ("tasks.glue.max_seq_length", 2, "tasks.glue.max_seq_length is 2; expected a whole number"),
        ("tasks.glue.dtype", "float16", "dtype float16 is not offered"),
        ("tasks.glue.enabled", "false", "tasks.glue.enabled is text; write true or false, without"),
        ("tasks.glue.output_dir", "x", "tasks.glue.output_dir is set by the pipeline; leave it"),
        ("tasks.glue.data.sorce", "x", "tasks.glue.data: unknown key 'sorce'; did you mean 'sou"),
        ("tasks.glue.data.source", "gone", "data.source 'gone' is not a folder; put the files"),
        ("tasks.glue.data.source", None, "tasks.glue.data.source has no value; expected text"),
        ("tasks.glue.model_name_or_path", "o/m", "no folder 'o/m'; for a model on the hub add it"),
        ("tasks.glu", {}, "p.yaml: tasks: unknown key 'glu'; did you mean 'glue'?"),
        ("task", {}, "p.yaml: unknown key 'task'; did you mean 'tasks'?"),
        ("newsroom.seed", "x", "p.yaml: newsroom.seed is 'x'; expected a whole number, >= 0"),
        ("tokenizers.encoder.vocab", 9, "unknown key 'vocab'; did you mean 'vocab_size'?"),
        ("tokenizers.encoder.vocab_size", 9, "vocab_size is 9; expected a whole number, >= 100"),
        ("checkpoints.it.model_type", None, "checkpoints.it.model_type is missing; give the mod"),
        ("tasks.glue.task", "gleu", "tasks.glue.task is 'gleu'; expected one of mlm, glue"),
        ("gates.glue.eval_f1.mim", 1, "gates.glue.eval_f1: unknown key 'mim'; did you mean 'min"),
        (
            "gates.glue.eval_loss",
            {"beats": "baseline"},
            "p.yaml: gates.glue.eval_loss.beats: no simple method has a figure of loss; of glue "
            "they have accuracy, f1, matthews_correlation, mse, pearson, spearmanr: name one",
        ),
        ("gates.glue.eval_f1.min", "x", "gates.glue.eval_f1.min is 'x'; expected a number"),
        (
            "checkpoints.it",
            {"revision": "main"},
            "checkpoints.it.id is missing; give owner/model on the hub",
        ),
    ],
)
def test_params(where, value, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    params = json.loads(json.dumps(PARAMS))
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(params))
    check.check_params("p.yaml")
    *above, key = where.split(".")
    node = params
    for part in above:
        node = node[part]
    node[key] = value
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(InputError) as caught:
        check.check_params("p.yaml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert said in scripts.refused("pipeline.check", "--params_file=p.yaml")


@pytest.mark.parametrize("group", ["tasks", "tokenizers", "checkpoints"])
@pytest.mark.parametrize(
    ("name", "said"),
    [("t5-v1.1", "a dot separates the levels of a parameter"), (7, "7 is not text"),
     ("a b", "'a b' cannot name"), ("", "'' cannot name"), (None, "None is not text")],
)  # fmt: skip
def test_a_key_that_is_no_name(group, name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = PARAMS[group].values()
    params = {**PARAMS, group: {name: found}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(params))
    line = scripts.refused("pipeline.check", "--params_file=p.yaml")
    assert line.startswith(f"error: p.yaml: {group}: ")
    assert said in line
    assert "did you mean" not in line


SOURCES = {
    "missing column": ("glue", {"train.csv": HEAD + "a,b,x\n"}, {"label_column_name": "kind"},
                       "train.csv: no column 'kind'"),
    "broken row of the test file": ("ner", {"train.json": TAGGED, "validation.json": TAGGED,
                                            "test.json": TAGGED + '{"tokens": []}\n'}, {},
                                    "test.json, line 2: 'tokens' is empty"),
    "columns": ("glue", {"train.csv": "id,review,stars,country\n1,Good,5,no\n"}, {},
                "train.csv: which column is sentence1 and which label? there are 'id', 'review', "
                "'stars', 'country'; give tasks.glue.data.text_column_name of params.yaml and "
                "tasks.glue.data.label_column_name"),
    "no file": ("mlm", {"train.txt": "a\n"}, {}, "expected one file validation.*, found none"),
    "two files": ("mlm", {"train.txt": "a\n", "train.csv": "a\n"}, {},
                  "expected one file train.*, found train.csv, train.txt; name it (params"),
    "outside": ("mlm", {"train.txt": "a\n"}, {"train_file": "../x"},
                "data.train_file: '../x' is outside mine"),
    "not there": ("mlm", {"train.txt": "a\n"}, {"train_file": "b.txt"}, "data.train_file: no file"),
    "misspelt": ("qa", {}, {"trian_file": "x"}, "unknown key 'trian_file'; did you mean 'train_f"),
    "answer": ("qa", {"train.json": misplaced()}, {},
               "train.json, line 4, question 'q1': the answer 'Paris' is not at 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_fetch_leaves_what_was_fetched_earlier(name, tmp_path, monkeypatch):
    task, files, values, said = SOURCES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for file, content in files.items():
        (tmp_path / "mine" / file).write_text(content)
    earlier = tmp_path / "data" / task
    earlier.mkdir(parents=True)
    (earlier / "train.txt").write_text("earlier")
    params = {"tasks": {task: {"data": {"source": "mine", **values}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert said in scripts.refused("pipeline.fetch", task)
    assert scripts.tree(tmp_path / "data") == {f"{task}/train.txt": b"earlier"}
    assert said in scripts.refused("pipeline.fetch", task)


def test_fetch_and_a_script_say_what_they_read_as_what(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for split in ("train", "validation", "test"):
        (tmp_path / f"mine/{split}.csv").write_text("stars,review\n5,Good food\n1,Bad food\n")
    params = {"tasks": {"glue": {"data": {"source": "mine"}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    said = scripts.call("pipeline.fetch", "glue")
    assert "columns of mine/train.csv: sentence1 = review, label = stars\n" in said
    read = inputs.read_input(inputs.Input("mine/test.csv", None), read_examples)
    assert read.columns == {"sentence1": "review", "label": "stars"}
    said = "columns of mine/test.csv: sentence1 = review, label = stars\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("values", [{}, {"train_file": "train.txt"}], ids=["found", "named"])
def test_a_link_out_of_the_source_is_refused(tmp_path, values):
    (tmp_path / "mine").mkdir()
    (tmp_path / "secret").write_text("a b c")
    (tmp_path / "mine/train.txt").symlink_to("../secret")
    with pytest.raises(InputError, match=r"^data\.train_file: 'train\.txt' is outside .*mine"):
        DataSource(source=str(tmp_path / "mine"), **values).file("train")


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_fetch_gives_what_the_scripts_read(task, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    file = files / scripts.FILES[task]
    for split in ("train", "validation", "test"):
        shutil.copy(file, tmp_path / "mine" / f"{split}{file.suffix}")
    params = {"tasks": {task: {"data": {"source": "mine"}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    scripts.call("pipeline.fetch", task)
    first = scripts.tree(tmp_path / "data" / task)
    assert first.pop("source_columns.json") == b"{}\n"  # whose names are the standard's
    assert sorted(first) == sorted(f"{s}{file.suffix}" for s in ("train", "validation", "test"))
    # What is in the standard form already comes out byte for byte.
    params["tasks"][task]["data"]["source"] = "again"
    shutil.copytree(tmp_path / "data" / task, tmp_path / "again")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    scripts.call("pipeline.fetch", task)
    again = scripts.tree(tmp_path / "data" / task)
    assert again.pop("source_columns.json") == b"{}\n"
    assert again == first
    assert [path.name for path in (tmp_path / "data").iterdir()] == [task]


def test_speech_that_is_switched_off_goes_through_all_its_stages(tmp_path, monkeypatch):
    """Where the synthesiser cannot be had: nothing fails, and nothing is there to be judged."""
    root = ROOT
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["tasks"]["speech"]["enabled"] = False
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    scripts.call("newsroom.speech.__main__")
    assert [path.name for path in (tmp_path / "data/newsroom-speech").iterdir()] == ["README.md"]
    assert "switched off" in scripts.call("pipeline.fetch", "speech")
    files = [tmp_path / f"data/speech/{split}.parquet" for split in ("train", "validation", "test")]
    assert all(file.is_file() for file in files)
    scripts.call("pipeline.make_tokenizer", "whisper", f"--text={files[0]}", "--output_dir=start")
    for flags in (
        ("--do_train", f"--train_file={files[0]}", f"--validation_file={files[1]}",
         "--output_dir=out", "--plots_dir=plots"),
        ("--do_eval", f"--validation_file={files[2]}", "--output_dir=results",
         "--metrics_file=metrics/speech.json"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            scripts.call(scripts.SCRIPTS["speech"], "--params=tasks.speech", *flags)
        assert stop.value.code == 0
    assert all((tmp_path / folder).is_dir() for folder in ("out", "plots", "results"))
    assert json.loads((tmp_path / "metrics/speech.json").read_text()) == {}
    scripts.call(
        "pipeline.baseline",
        "speech",
        "--data=data/speech",
        "--output=metrics/baselines/speech.json",
    )
    assert json.loads((tmp_path / "metrics/baselines/speech.json").read_text()) == {}
    # Switched on again, data that is not there is missed.
    params["tasks"]["speech"]["enabled"] = True
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert "found none" in scripts.refused("pipeline.fetch", "speech")


def test_a_task_that_there_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("tasks: {glue: {}}\n")
    line = scripts.refused("pipeline.fetch", "gleu")
    assert line == "error: params.yaml: no 'gleu' under tasks; did you mean 'glue'?"


def test_a_task_under_a_name_of_ones_own(tmp_path, monkeypatch, files):
    """`task` says which of the eight it is; data, models and metrics go by the name."""
    monkeypatch.chdir(tmp_path)
    block = {"task": "glue", "data": {"source": str(files), "train_file": "pairs.csv",
             "validation_file": "pairs.csv", "test_file": "pairs.csv"}}  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"tasks": {"reviews": block}}))
    scripts.call("pipeline.fetch", "reviews")
    assert sorted(path.name for path in (tmp_path / "data/reviews").iterdir()) == [
        "source_columns.json", "test.csv", "train.csv", "validation.csv"
    ]  # fmt: skip
    block["task"] = "gleu"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"tasks": {"reviews": block}}))
    line = scripts.refused("pipeline.fetch", "reviews")
    assert "tasks.reviews.task is 'gleu'; expected one of mlm, glue" in line
    assert line.endswith("did you mean 'glue'?")
