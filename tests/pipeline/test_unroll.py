"""`stages.pipeline.unroll`: what `tasks.yaml` holds, and what `params.yaml` cannot ask for."""

import json
import re
import shutil
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from support import scripts
from support.paths import ROOT
from support.repository import Repository

from stages.core.errors import InputError
from stages.newsroom.licence import FOLDERS, LICENSE
from stages.pipeline.unroll import (
    UNROLLED,
    commands,
    difference,
    entries,
    plots,
    read_unrolled,
    unroll,
)

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def unrolled(change=lambda params: None) -> dict:
    params = deepcopy(PARAMS)
    change(params)
    return unroll(params, STAGES, "p.yaml")


def refusal(change) -> str:
    with pytest.raises(InputError) as caught:
        unrolled(change)
    return str(caught.value)


def test_two_classifiers_and_a_model_trained_twice():
    """Names are free; `task` says what runs, and models of other names are followed."""

    def add(params):
        params["tasks"]["reviews"] = {
            "task": "glue", "data": {"source": "my/reviews"}, "model_name_or_path": "models/tuned"
        }  # fmt: skip
        params["tasks"]["tuned"] = {
            "task": "mlm", "data": {"source": "my/text"}, "model_name_or_path": "models/mlm"
        }  # fmt: skip

    found = unrolled(add)
    assert found["tasks"]["reviews"] == {
        "name": "reviews",
        "task": "glue",
        "script": "run_flax_glue",
        "suffix": "csv",
        "training": "--do_train",
        "evaluation": "--do_eval --validation_file",
        "source": "my/reviews",
        "model_name_or_path": "models/tuned",
        "model_type": "bert",
        "beginning": "models/start/encoder",
    }
    assert found["baselines"]["reviews"] == {"task": "glue", "settings": ""}
    assert found["text_baselines"]["tuned"] == {
        "task": "mlm",
        "settings": "",
        "tokenizer": "models/mlm",
    }
    assert found["tasks"]["glue"] == unrolled()["tasks"]["glue"]


OWN, NEWSROOM = "--do_train", "--do_train --data_license CC0-1.0"


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, NEWSROOM),
        ({"data": {"source": "data/newsroom-speech"}}, NEWSROOM),
        # The section of the default with another source, as a user copies it.
        ({"data": {"source": "my/reviews"}}, OWN),
        ({"data": {"source": "data/newsroom-mine"}}, OWN),
        ({"data": {"source": "data"}}, OWN),
        ({"data": {"source": "data/newsroom/glue", "dataset_name": "owner/reviews"}}, OWN),
        # What the user says stands in params.yaml, which the script reads.
        ({"data_license": "CC-BY-4.0"}, OWN),
        ({"data": {"source": "my/reviews"}, "data_license": "CC-BY-4.0"}, OWN),
    ],
)
def test_only_the_newsroom_has_the_newsrooms_licence(change, flag):
    found = unrolled(lambda params: params["tasks"]["glue"].update(change))
    assert found["tasks"]["glue"]["training"] == flag
    assert found["tasks"]["qa"]["training"] == NEWSROOM
    assert not any("data_license" in block for block in PARAMS["tasks"].values())


def test_a_folder_of_that_name_that_no_stage_of_the_newsroom_makes():
    """As in a profile without it."""
    stages = {name: one for name, one in STAGES.items() if name != "newsroom"}
    found = unroll(deepcopy(PARAMS), stages, "p.yaml")["tasks"]
    assert {name for name, one in found.items() if one["training"] != OWN} == {"speech"}


def test_the_cards_of_the_newsroom_name_its_licence():
    for card in ("newsroom/card.py", "newsroom/speech/card.py"):
        assert f"({LICENSE})" in (ROOT / "stages" / card).read_text()
    made = {name: STAGES[name]["outs"] for name in FOLDERS}
    assert made == {name: [folder] for name, folder in FOLDERS.items()}


@pytest.mark.parametrize(
    ("task", "change", "settings"),
    [
        ("glue", {"task_name": "mrpc"}, "task_name=mrpc"),
        ("speech", {"do_lower_case": False}, "do_lower_case=false"),
        ("clm", {"keep_linebreaks": False}, "keep_linebreaks=false"),
        ("qa", {"version_2_with_negative": False}, ""),
        ("t5_mlm", {"max_seq_length": None, "seed": 3},
         "seed=3"),
        ("mlm", {"mlm_probability": 1e-5}, "max_seq_length=160,mlm_probability=1e-05,seed=1"),
    ],
)  # fmt: skip
def test_a_baseline_has_the_settings_of_its_task(task, change, settings):
    found = unrolled(lambda params: params["tasks"][task].update(change))
    assert {**found["baselines"], **found["text_baselines"]}[task]["settings"] == settings


@pytest.mark.parametrize("value", ["mrpc'; touch made; '", "a,seed=3", "$(x)", [1], {"a": 1}])
def test_a_setting_that_no_command_can_have(value):
    said = refusal(lambda params: params["tasks"]["glue"].update(task_name=value))
    assert said.startswith("p.yaml: tasks.glue.task_name: ")


@pytest.mark.parametrize(
    "name", ["a b", "../x", "x;y", "$(x)", "`x`", "-x", "1x", "a-7", "", "ä", "a/b", "newsroom", 7]
)
def test_a_name_that_no_stage_can_have(name):
    def add(params):
        params["tasks"][name] = {**params["tasks"]["glue"], "task": "glue"}

    said = refusal(add)
    assert said.startswith(f"p.yaml: tasks: {name!r} ")
    assert "use " in said


@pytest.mark.parametrize("group", ["tasks", "tokenizers", "checkpoints"])
@pytest.mark.parametrize("name", ["x; touch made; echo ", "../../outside", "a b", "v1.1", 7, ""])
def test_a_name_that_no_group_can_have(group, name):
    def add(params):
        params[group][name] = deepcopy(next(iter(PARAMS[group].values()), {"model_type": "bert"}))

    assert refusal(add).startswith(f"p.yaml: {group}: {name!r} ")


PATHS = ("tasks.mlm.data.source", "tasks.mlm.model_name_or_path", "tokenizers.t5.text")


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize(
    "path", ["x'; touch made; '", "$(touch made)", "../x", "/etc", "a/../../x"]
)
def test_a_path_that_no_stage_can_have(where, path):
    def change(params):
        *above, key = where.split(".")
        reduce(getitem, above, params)[key] = path

    assert refusal(change).startswith(f"p.yaml: {where}: {path!r} ")


def test_a_path_with_blanks():
    def change(params):
        params["tokenizers"]["t5"]["text"] = "my text/a b.txt"
        params["tasks"]["glue"]["data"]["source"] = "my reviews"

    found = unrolled(change)
    assert found["tokenizers"]["t5"]["text"] == "my text/a b.txt"
    assert found["tasks"]["glue"]["source"] == "my reviews"


def test_names_and_paths_of_templates_are_of_files_that_were_checked():
    """Never of params.yaml, which DVC reads too, and always within quotation marks if a path."""
    templated = [stage for stage in STAGES.values() if "foreach" in stage]
    assert {stage["foreach"] for stage in templated} == {
        *(f"${{unrolled.{name}}}" for name in UNROLLED if name != "commands"),
        "${repeats}", "${repeated}",
    }  # fmt: skip
    used = {
        name for stage in STAGES.values()
        for name in re.findall(r"\$\{([^}]*)\}", json.dumps(stage.get("do", stage)))
    }  # fmt: skip
    assert {name.partition(".")[0] for name in used} == {"item", "key"}
    shell = " ".join(str(stage.get("do", stage)["cmd"]) for stage in STAGES.values())
    for name in ("text", "tokenizer"):
        assert f"'${{item.{name}}}'" in shell
    for name in ("source", "model_name_or_path"):
        assert f"${{item.{name}}}" not in shell


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("encoder:", "../../outside:", "tasks.yaml: tokenizers: '../../outside' cannot name"),
        ("encoder:", "'x; touch made; ':", "tasks.yaml: tokenizers: 'x; touch made; ' cannot name"),
        (
            "data/mlm/train.txt",
            "x'; touch made'",
            "tokenizers.encoder: \"x'; touch made'\" cannot be",
        ),
        ("data/mlm/train.txt", "../x", "tasks.yaml: tokenizers.encoder: '../x' cannot be a part"),
        ("task: ner", "task: $(touch made)", "tasks.yaml: tasks.ner: '$(touch made)' cannot be a"),
    ],
)
def test_a_file_edited_by_hand_stops_what_depends_on_code(old, new, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "tasks.yaml").read_text()
    assert old in text
    (tmp_path / "tasks.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_unrolled()
    assert said in str(caught.value)


@pytest.mark.slow(seconds=6)
@pytest.mark.parametrize(
    ("line", "change", "stage"),
    [
        (
            "checkpoints: {}",
            'checkpoints: {"x; touch made; echo ": {id: a/b}}',
            "checkpoint@x; touch made; echo ",
        ),
        ("seeds: {}", 'seeds: {"x; touch made; echo ": [7]}', "spread@x; touch made; echo "),
        ("checkpoints: {}", "checkpoints: {../../outside: {id: a/b}}", "checkpoint@../../outside"),
    ],
)
def test_dvc_makes_no_stage_of_such_a_name(tmp_path, line, change, stage):
    """Not even under a bare `dvc repro -s`, which deletes outputs and checks nothing."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    clone = Repository(tmp_path / "clone")
    shutil.copytree(
        ROOT, clone.folder, symlinks=True,
        ignore=shutil.ignore_patterns(".git", ".venv", "tests", "data", "models", "cache", "tmp"),
    )  # fmt: skip
    clone.git("init", "--quiet")
    params = clone.folder / "params.yaml"
    assert line in params.read_text()
    params.write_text(params.read_text().replace(line, change))
    done = clone.dvc("repro", "-s", stage, check=False)
    assert done.returncode != 0
    assert "not found" in done.stderr or "does not exist" in done.stderr
    assert not (clone.folder / "made").exists()
    assert (outside / "kept").exists()


@pytest.mark.parametrize("section", ["tasks", "tokenizers", "checkpoints"])
def test_a_section_that_is_not_there(section):
    said = refusal(lambda params: params.pop(section))
    assert said == f"p.yaml: {section} is missing; write `{section}: {{}}` for none"


def start(value, **more):
    def change(params):
        params["tasks"]["glue"]["model_name_or_path"] = value
        for name, content in more.items():
            params[name] = content

    return change


def test_where_the_type_of_a_model_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def kind(change) -> str:
        return unrolled(change)["tasks"]["glue"]["model_type"]

    assert kind(start("models/start/gpt2")) == "gpt2"
    assert kind(start("models/clm")) == "gpt2"
    entry = {"it": {"id": "owner/model", "model_type": "roberta"}}
    assert kind(start("checkpoints/it", checkpoints=entry)) == "roberta"
    Path("mine").mkdir()
    Path("mine/config.json").write_text(json.dumps({"model_type": "distilbert"}))
    assert kind(start("mine")) == "distilbert"

    def other_config(params):
        params["tasks"]["glue"]["config_name"] = "mine/config.json"

    assert kind(other_config) == "distilbert"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (start(None), "p.yaml: tasks.glue.model_name_or_path is missing; name the folder"),
        (start("models/glue"), "p.yaml: tasks.glue.model_name_or_path leads back to itself (glue"),
        (start("models/start/encdoer"), "no 'encdoer' under tokenizers; did you mean 'encoder'?"),
        (start("nowhere"), "no folder 'nowhere'; for a model on the hub add it under"),
        (start("empty"), "empty/config.json: no such file"),
        (start("broken"), "broken/config.json: not valid JSON"),
        (start("other"), "other/config.json: model_type is 'rwkv'; expected one of bert"),
        (
            start("checkpoints/it", checkpoints={"it": {"id": "a/b"}}),
            "p.yaml: checkpoints.it.model_type is missing; give one of bert",
        ),
        (
            start("checkpoints/it", checkpoints={"it": {"id": "a/b", "model_type": "brt"}}),
            "checkpoints.it.model_type is 'brt'; expected one of bert, camembert",
        ),
    ],
)
def test_a_model_of_no_known_type(change, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in {"broken": "{", "other": '{"model_type": "rwkv"}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    (tmp_path / "empty").mkdir()
    assert said in refusal(change)


def test_commands_of_a_stage_of_ones_own():
    """A stage that somebody adds to dvc.yaml gets its file of `code/` by naming it."""
    own = {
        "mine": {"cmd": "python -m stages.mine --x 1", "deps": ["code/mine.json", "data"]},
        "templated": {"foreach": "x", "do": {"cmd": "python -m stages.${item.script}",
                                             "deps": ["code/t/${key}.json"]}},
        "other": {"cmd": "echo python", "deps": ["code/other.json"]},
    }  # fmt: skip
    assert commands(own) == {"mine": "stages.mine"}
    assert commands(STAGES).keys() == {"versions", "newsroom", "newsroom-speech", "spread"}


def test_baselines_are_left_out_where_their_stages_are():
    without = {name: stage for name, stage in STAGES.items() if not name.startswith("baseline")}
    found = unroll(PARAMS, without)
    assert found["baselines"] == found["text_baselines"] == {}


def test_curves_of_each_name():
    drawn = plots({"reviews": {"task": "glue"}, "qa": {"task": "qa"}})
    assert drawn[0]["loss of training"]["y"] == {
        "reviews/train.csv": "loss", "qa/train.csv": "loss"
    }  # fmt: skip
    assert drawn[1]["reviews on validation"]["y"] == {"reviews/validation.csv": ["eval_accuracy"]}


def test_what_differs_is_named_by_entry():
    content = {"unrolled": {"tasks": {"a": {"x": 1}, "b": {"x": 1}}, "commands": {"c": "m"}}}
    assert entries(content) == {
        "tasks.a": {"x": 1}, "tasks.b": {"x": 1}, "commands": {"c": "m"}
    }  # fmt: skip
    other = {"unrolled": {"tasks": {"a": {"x": 2}, "d": {"x": 1}}, "commands": {"c": "m"}}}
    assert difference(other, content) == "lacks tasks.b, still has tasks.d, has another tasks.a"
    assert difference("half a merge", content) == "lacks tasks.a tasks.b commands"


def test_dvc_repro_without_make_refuses_a_stale_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    scripts.call("pipeline.unroll")
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("source: data/newsroom/glue", "source: mine")
    )
    assert scripts.refused("pipeline.unroll", "--check") == (
        "error: tasks.yaml: not what params.yaml asks for (has another tasks.glue); run "
        "`python -m stages.pipeline.unroll`, then again"
    )
