"""`python -m stages.predict`: from the folder alone, the predictions of the run that trained."""

import io
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from support import scripts, small_pipeline
from support.paths import ROOT

from stages.predict import default_output, first_rows
from stages.tasks.registry import TASKS

FILE = "flaxmill.json"
# What may move the last digits on another machine, and is no part of a model.
MACHINE = "--cpu_threads=1"
# The pipeline scores their text token by token, where --do_predict fills in or goes on.
LANGUAGE = ("mlm", "clm", "t5_mlm")


def predict(*words, out: io.StringIO | None = None) -> str:
    return scripts.call("predict", *words, out=out)


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Predictions go below the working folder unless it is said where to."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("folder", "typed", "output"),
    [
        ("models/glue", False, "predictions/glue"),
        ("models/glue", True, "predictions/glue/typed"),
        ("profiles/reviews/models/glue/", False, "predictions/reviews/glue"),
        ("../elsewhere/mine", False, "predictions/mine"),
        ("models", False, "predictions/models"),
    ],
)
def test_where_predictions_go(folder, typed, output):
    assert default_output(folder, typed=typed) == Path(output)


def file_to_predict(task, files):
    return files / scripts.TEST_FILES.get(task, scripts.FILES[task])


def written(folder, prefix: str) -> dict[str, bytes]:
    """Predictions by the names of their files: of a test, or of an evaluation."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name.endswith(("predictions.json", "null_odds.json"))
        and path.name.startswith("eval_") == (prefix == "eval_")
    }


@pytest.mark.parametrize("task", TASKS)
def test_the_folder_alone_gives_the_predictions_of_its_run(task, trained, files, tmp_path):
    said = predict(trained(task), file_to_predict(task, files))
    out = tmp_path / "predictions" / trained(task).name
    expected = written(trained(task), "")
    assert expected
    assert written(out, "") == expected
    main = {"qa": "predict_predictions.json"}.get(task, "predictions.json")
    assert f"predictions: predictions/{out.name}/{main}" in said
    assert said.count("\n\n") == 1
    heading, *rows = said.partition("\n\n")[2].splitlines()
    count = len(first_rows(out / main, 1000)[0])
    assert first_rows(out / main, 2)[1] == count
    assert (f"({count} rows, the first 5 here)\n\n" in said) == (count > 5)
    assert heading.split()[0] in ("sentence1", "tokens", "id", "text", "document", "path")
    assert 1 <= len(rows) <= 5


@pytest.mark.parametrize("task", TASKS)
def test_a_score_is_the_evaluation_of_its_run(task, trained, files, tmp_path):
    predict(trained(task), files / scripts.FILES[task], "--score", "--output_dir=out")
    # Of summarization the pipeline scores what --do_predict writes.
    split, prefix = ("test", "") if task == "summarization" else ("eval", "eval_")
    assert written(tmp_path / "out", prefix) == written(trained(task), prefix)
    assert scripts.results(tmp_path / "out", split) == scripts.results(trained(task), split)


TYPED = {
    "mlm": (["Bob met [MASK] ."], "fillings"),
    "glue": (["Bob stayed .", "Alice stayed ."], "prediction"),
    "ner": (["Bob stayed in Paris."], "predictions"),
    "qa": (["Who stayed ?", "Bob stayed in Paris ."], None),
    "clm": (["Bob"], "continuation"),
    "t5_mlm": (["Bob met <extra_id_0> ."], "filled"),
    "summarization": (["Bob stayed in Paris ."], "prediction"),
}


@pytest.mark.parametrize("task", TYPED)
def test_texts_of_the_command_line(task, trained, tmp_path):
    texts, key = TYPED[task]
    words = [word for text in [*texts, *texts] for word in ("--text", text)]
    predict(trained(task), *words, "--output_dir=out")
    if key is None:
        assert list(json.loads((tmp_path / "out/predict_predictions.json").read_text())) == [
            "1",
            "2",
        ]
        return
    one, two = scripts.json_lines(tmp_path / "out/predictions.json")
    assert one == two
    assert key in one
    if task == "ner":
        assert one["tokens"] == ["Bob", "stayed", "in", "Paris", "."]


@pytest.mark.parametrize(
    ("task", "content"),
    [
        ("glue", "sentence1,sentence2\nBob stayed .,Alice stayed .\n"),
        ("glue", '{"sentence1": "Bob stayed .", "sentence2": "Alice stayed ."}\n'),
        ("ner", "Bob\nstayed\n\n"),
        ("mlm", "Bob [MASK] .\n"),
        ("summarization", "document\nBob stayed in Paris .\n"),
    ],
)
def test_standard_input(task, content, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    predict(trained(task), "-", "--output_dir=out")
    assert len(scripts.json_lines(tmp_path / "out/predictions.json")) == 1


def test_clips_need_no_manifest(trained, files, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in (1, 0):
        shutil.copy(files / f"clips/{number}.wav", folder)
    (folder / "notes.txt").write_text("not a clip")
    expected = scripts.json_lines(trained("speech") / "predictions.json")
    for source, count in (("mine", 2), ("mine/0.wav", 1)):
        predict(trained("speech"), source, "--output_dir=out")
        rows = scripts.json_lines(tmp_path / "out/predictions.json")
        assert [row["path"] for row in rows] == [str(folder / f"{n}.wav") for n in range(count)]
        assert [row["prediction"] for row in rows] == [
            row["prediction"] for row in expected[:count]
        ]


def test_further_flags_are_those_of_the_script(trained, files, tmp_path):
    said = predict(
        trained("qa"), files / "flat.json", "--version_2_with_negative", "false", "--show=1"
    )
    assert "--version_2_with_negative False is used" in said
    assert not list(tmp_path.rglob("*null_odds*"))
    assert len(said.partition("\n\n")[2].splitlines()) == 2


def test_a_folder_without_the_file(trained, files, tmp_path):
    folder = shutil.copytree(trained("glue"), tmp_path / "model")
    (folder / FILE).unlink()
    line = scripts.refused("predict", folder, files / "unlabelled.csv")
    assert line.startswith(f"error: {folder}: no {FILE} in it")
    assert "add --task NAME, one of mlm, glue, ner" in line
    predict(folder, files / "unlabelled.csv", "--task=glue", "--max_seq_length=24")
    assert len(scripts.json_lines(tmp_path / "predictions/model/predictions.json")) == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the model's folder is missing"),
        (["MODEL"], "give either INPUT (a file, or - for standard input) or --text"),
        (["MODEL", "a.csv", "--text", "b"], "give either INPUT"),
        (["MODEL", "a.csv", "b.csv"], "'b.csv' belongs to no flag"),
        (["MODEL", "--score", "a.csv"], "'a.csv' belongs to no flag"),
        (["MODEL", "a.csv", "--max_seq_lenght=3"], "did you mean '--max_seq_length'?"),
        (["MODEL", "a.csv", "--task=gleu"], "--task is 'gleu'; expected one of"),
        (["MODEL", "a.csv"], "a.csv: no such file"),
        (["nowhere/it", "a.csv"], "no such folder"),
        (["MODEL", "--text", "one"], "a row takes 2, in this order: sentence1, sentence2"),
    ],
)  # fmt: skip
def test_wrong_commands(words, message, trained):
    assert message in scripts.refused(
        "predict", *(trained("glue") if word == "MODEL" else word for word in words)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "a"], "--text is nothing to transcribe"),
        (["-"], "a model for speech reads no standard input"),
        (["empty"], "neither audio files"),
    ],
)
def test_wrong_clips(words, message, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    assert message in scripts.refused("predict", trained("speech"), *words)


@pytest.mark.parametrize("task", TASKS)
def test_the_lines_of_the_card_run(task, trained, files, tmp_path):
    """Those of flaxmill; `tests/parity/test_cards.py` runs those of PyTorch."""
    card = (trained(task) / "README.md").read_text()
    lines = card.partition("## How to use\n")[2].split("```")[1].strip().splitlines()
    assert len(lines) == (1 if task == "speech" else 2)
    shutil.copy(files / "clips/0.wav", tmp_path / "clip.wav")
    for line in lines:
        assert line.startswith("python -m stages.predict ")
        folder, *words = shlex.split(line)[3:]
        # The fixture has moved it since.
        assert Path(folder).name == trained(task).name
        assert words[0] in ("FILE", "--text", "clip.wav")
        words = [file_to_predict(task, files) if word == "FILE" else word for word in words]
        predict(trained(task), *words)


def check_recorded(project, task, out):
    """`stages.predict` gives what the stage `evaluate` of a project recorded."""
    recorded = {path.name: path for path in (project / "results" / task).glob("*predictions.json")}
    test_file = project / "data" / task / f"test{TASKS[task].suffix}"
    words = ["stages.predict", f"models/{task}", str(test_file), f"--output_dir={out}", MACHINE]
    status, said = small_pipeline.run(project, *words, "--score")
    assert status == 0, said
    assert "predictions: " in said
    for name, path in recorded.items():
        assert (out / name).read_bytes() == path.read_bytes(), name
    if task in LANGUAGE or task == "summarization":  # whose prediction is another, or the same
        return
    status, said = small_pipeline.run(project, *words)
    assert status == 0, said
    name = "predict_predictions.json" if task == "qa" else "predictions.json"
    assert (out / name).read_bytes() == recorded["eval_predictions.json"].read_bytes()


@pytest.mark.slow(seconds=240)
def test_predictions_are_those_of_the_pipeline(prepared_pipeline, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(prepared_pipeline, project, symlinks=True)
    small_pipeline.repro(project, *(f"evaluate@{task}" for task in TASKS))
    for task in TASKS:
        check_recorded(project, task, tmp_path / task)


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("task", TASKS)
def test_the_recorded_predictions_of_this_project(task, tmp_path, monkeypatch):
    """Of the models in `models/`, on their test files; skipped where `make repro` has not run."""
    if not (ROOT / "models" / task / FILE).is_file() or not (ROOT / "results" / task).is_dir():
        pytest.skip(f"no {FILE} or no results of {task}; run make repro")
    monkeypatch.delenv("XLA_FLAGS")  # those of tests compile other sums
    check_recorded(ROOT, task, tmp_path / task)
