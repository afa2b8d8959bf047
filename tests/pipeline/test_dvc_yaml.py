"""The pipeline's text: what each stage declares, and what a change of a parameter runs."""

import shlex
import shutil
from contextlib import chdir
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from support import scripts
from support.paths import ROOT

from stages.core.import_guard import code_file
from stages.core.params import task_values
from stages.core.schema import build
from stages.pipeline import unroll
from stages.pipeline.check import check_params
from stages.tasks.registry import TASKS, arguments_class

TOKENIZERS = ("encoder", "gpt2", "t5", "whisper")
# The tokenizer that each task comes from, by way of other tasks.
FIRST = {
    "clm": "gpt2", "t5_mlm": "t5", "summarization": "t5", "speech": "whisper",
    **dict.fromkeys(("mlm", "glue", "ner", "qa"), "encoder"),
}  # fmt: skip
# The baselines of these count in a tokenizer's pieces, and so need one.
TEXT = ("mlm", "clm", "t5_mlm")
# Each task has one repeat here, with this seed.
SEED = 7
REPEATED = ("train-seed", "evaluate-seed")
KINDS = ("fetch", "plan", "train", "evaluate", *REPEATED, "spread", "baseline")
ALONE = (
    "check",
    "code",
    "versions",
    "newsroom",
    "newsroom-speech",
    *(f"tokenizer@{name}" for name in TOKENIZERS),
    "checkpoint@it",
)
ENTRY = {
    "checkpoints": {"it": {"id": "owner/model", "revision": "main", "model_type": "bert"}},
    "seeds": {task: [SEED] for task in TASKS},
}


def value_at(params: dict, dotted: str):
    return reduce(getitem, dotted.split("."), params)


def resolve(folder: Path, change=lambda params: None) -> dict:
    """The stages of `dvc.yaml` by name, under `params.yaml` after `change`."""
    folder.mkdir()
    Repo.init(str(folder), no_scm=True)
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= deepcopy(ENTRY)
    change(params)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    with chdir(folder):
        for name, text in unroll.files().items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(text)
    with Repo(str(folder)) as repo:
        return {
            stage.name: {
                "cmd": stage.cmd,
                "deps": {
                    dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)
                },
                "outs": {out.def_path: out.use_cache for out in stage.outs},
                "params": {
                    key: value_at(params, key) if key else params
                    for dep in stage.deps
                    if isinstance(dep, ParamsDependency)
                    # `dep.read_params()` reads the file anew for every stage: seconds of each test.
                    for key in dep.params or [""]  # all of the file
                },
            }
            for stage in repo.index.stages
        }


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return resolve(tmp_path_factory.mktemp("pipeline") / "repo")


def stage_name(kind: str, task: str) -> str:
    if kind in REPEATED:
        return f"{kind}@{task}-{SEED}"
    return f"baseline-text@{task}" if kind == "baseline" and task in TEXT else f"{kind}@{task}"


def stages_of(task: str, *kinds: str) -> set[str]:
    return {stage_name(kind, task) for kind in kinds}


def task_of(name: str) -> str:
    return name.split("@")[1].removesuffix(f"-{SEED}")


def covers(declared: set[str], file: str) -> bool:
    return any(file == dep or file.startswith(dep + "/") for dep in declared)


def test_no_command_has_two_blanks_in_a_row(tmp_path, stages):
    """DVC's lock folds lines at blanks and loses one of two: such a stage is stale for ever."""

    def change(params):
        for block in params["tasks"].values():
            block["data"]["source"] = "my/data"

    for name, stage in [*stages.items(), *resolve(tmp_path / "own", change).items()]:
        assert "  " not in stage["cmd"], name
        assert stage["cmd"] == stage["cmd"].strip(), name


def test_every_task_has_the_same_stages(stages):
    assert set(TASKS) == set(scripts.SCRIPTS)
    expected = {stage_name(kind, task) for kind in KINDS for task in TASKS} | set(ALONE)
    assert set(stages) == expected


def test_a_stage_depends_on_its_file_of_code_and_on_no_module(stages):
    """The file that the guard of imports will hold the stage to; the committed ones are there."""
    for name, stage in stages.items():
        code = {dep for dep in stage["deps"] if dep.startswith(("code", "stages"))}
        if name == "check":
            assert code == set()
        elif name == "code":
            assert code == {"stages"}
        elif name == "checkpoint@it":
            assert code == {"code/checkpoint/it.json"}
        else:
            with chdir(ROOT):
                assert code == {str(code_file(name))}, name
    with chdir(ROOT):
        assert code_file("check") is code_file("code") is code_file("") is None


@pytest.mark.parametrize("task", TASKS)
def test_the_chain_of_a_task(task, stages):
    suffixes = {"glue": "csv", "speech": "parquet", "mlm": "txt", "t5_mlm": "txt"}
    script, suffix = scripts.SCRIPTS[task], suffixes.get(task, "json")
    train, evaluate = stages[f"train@{task}"], stages[f"evaluate@{task}"]
    assert stages[f"fetch@{task}"]["outs"] == {f"data/{task}": True}
    assert train["outs"] == {f"models/{task}": True, f"plots/{task}": False}
    assert evaluate["outs"] == {f"results/{task}": True, f"metrics/{task}.json": False}
    read = {dep for dep in train["deps"] if dep.startswith("data")}
    files = (f"train.{suffix}", f"validation.{suffix}", "source_columns.json")
    assert read == {f"data/{task}/{file}" for file in files}
    assert {dep for dep in evaluate["deps"] if dep.startswith(("data", "models/"))} == {
        f"data/{task}/test.{suffix}",
        f"models/{task}",
    }
    assert "versions.json" in train["deps"] & evaluate["deps"]
    assert f"-m stages.{script} --params tasks.{task} --do_train" in train["cmd"]
    assert "--do_train" not in evaluate["cmd"]


@pytest.mark.parametrize("task", TASKS)
def test_a_plan_reads_what_training_will_read(task, stages):
    """But for the model, of which it needs what the first of several tasks starts from."""
    plan, train = stages[f"plan@{task}"], stages[f"train@{task}"]
    assert plan["outs"] == {f"plans/{task}.json": True}
    assert plan["params"] == train["params"]
    models = {dep for dep in plan["deps"] if dep.startswith("models")}
    assert models == {f"models/start/{FIRST[task]}"}
    assert plan["deps"] - models == {"versions.json", f"code/train/{task}.json", f"data/{task}"}
    assert f"plans/{task}.json" in train["deps"]
    assert f"--plan_file plans/{task}.json" in plan["cmd"]


def test_all_stages_wait_for_the_check(stages):
    assert stages["check"]["outs"] == {"plans/checked": True}
    assert "plans/checked" in stages["code"]["deps"]
    waiting = {name for name in stages if name != "check"}
    assert after(stages, {"code"}) == waiting


@pytest.mark.parametrize("task", TASKS)
def test_a_repeat_is_the_main_run_beside_it(task, stages):
    """The same inputs and code; its outputs are its own."""
    main, again = (
        [stages[stage_name(kind, task)] for kind in kinds]
        for kinds in (("train", "evaluate"), REPEATED)
    )
    name = f"{task}-{SEED}"
    assert again[0]["deps"] == main[0]["deps"]
    assert again[1]["deps"] == main[1]["deps"] - {f"models/{task}"} | {f"models/{name}"}
    assert again[0]["outs"] == {f"models/{name}": True, f"plots/{name}": False}
    assert again[1]["outs"] == {f"results/{name}": True, f"metrics/seeds/{task}/{SEED}.json": False}
    assert [stage["params"] for stage in again] == [stage["params"] for stage in main]
    for ours, theirs in zip(again, main, strict=True):
        added = set(ours["cmd"].split()) - set(theirs["cmd"].split())
        assert {word for word in added if word.startswith("--")} <= {
            "--seed",
            "--model_name_or_path",
        }
    spread = stages[f"spread@{task}"]
    assert spread["outs"] == {f"metrics/seeds/{task}.json": False}
    assert {dep for dep in spread["deps"] if dep.startswith("metrics")} == {
        f"metrics/{task}.json",
        f"metrics/seeds/{task}",
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["plan", "train", "evaluate", *REPEATED])
def test_the_commands_flags_are_accepted(kind, task, stages, monkeypatch):
    """What a stage passes, together with params.yaml, makes arguments without contradiction."""
    words = stages[stage_name(kind, task)]["cmd"].split()[3:]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    cls = arguments_class(task)
    values = task_values(cls, params, f"tasks.{task}")
    key = None
    for word in words:
        if word.startswith("--"):
            key, _, value = word[2:].partition("=")
            values[key] = (value or "true", word)
        else:
            values[key] = (word, key)
    assert values.pop("params")[0] == f"tasks.{task}"
    args = build(cls, values)
    training = kind.startswith(("plan", "train"))
    assert args.do_train == training
    assert (args.do_eval or args.do_predict) == (not training)
    if kind in REPEATED:
        assert args.seed == SEED
    if not training:
        assert not args.new_weights


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def after(stages: dict, names: set[str]) -> set[str]:
    """These stages and all that depend on what they write."""
    while True:
        # What `check` writes is always the same.
        made = {out for name in names - {"check"} for out in stages[name]["outs"]}
        more = {
            name
            for name, stage in stages.items()
            if any(
                covers(made, dep) or any(covers({dep}, out) for out in made)
                for dep in stage["deps"]
            )
        }
        if more <= names:
            return names
        names = names | more


@pytest.mark.parametrize("task", ["glue", "ner", "qa", "clm", "summarization", "speech"])
@pytest.mark.parametrize("key", ["learning_rate", "max_steps", "per_device_eval_batch_size"])
def test_a_changed_parameter_runs_its_task_alone(task, key, stages, tmp_path):
    def change(params):
        params["tasks"][task][key] = 7

    hit = changed(stages, resolve(tmp_path / "repo", change))
    assert hit == {"check"} | stages_of(task, "plan", "train", "evaluate", *REPEATED)
    onward = {f"spread@{task}"}
    if task == "qa":  # which glue starts from
        onward |= stages_of("glue", "train", "evaluate", *REPEATED, "spread")
    assert after(stages, hit) == hit | onward


def test_a_changed_list_of_seeds_runs_no_other_seed(stages, tmp_path):
    def more(params):
        params["seeds"]["glue"] = [SEED, 8]

    hit = changed(stages, resolve(tmp_path / "more", more))
    assert hit == {"check", "train-seed@glue-8", "evaluate-seed@glue-8", "spread@glue"}

    def none(params):
        params["seeds"] = {}

    hit = changed(stages, resolve(tmp_path / "none", none))
    assert hit == {
        "check", *(stage_name(kind, task) for kind in (*REPEATED, "spread") for task in TASKS)
    }  # fmt: skip


def test_the_check_runs_for_another_start(stages, tmp_path):
    def start(params):
        params["tasks"]["glue"]["model_name_or_path"] = "checkpoints/it"

    hit = changed(stages, resolve(tmp_path / "repo", start))
    assert hit == {"check"} | stages_of("glue", "plan", "train", "evaluate", *REPEATED)


def test_other_changes(stages, tmp_path):
    def source(params):
        params["tasks"]["glue"]["data"]["source"] = "mine"

    hit = changed(stages, resolve(tmp_path / "source", source))
    assert {"fetch@glue", "train@glue", "evaluate@glue"} <= hit | after(stages, hit)
    assert {task_of(name) for name in hit - {"check"}} == {"glue"}

    def seed(params):
        params["newsroom"]["seed"] = 9

    hit = changed(stages, resolve(tmp_path / "seed", seed))
    assert hit == {"check", "newsroom", "newsroom-speech"}

    def utterances(params):
        params["newsroom"]["utterances"]["train"] = 9

    assert changed(stages, resolve(tmp_path / "more", utterances)) == {"check", "newsroom-speech"}

    def events(params):
        params["newsroom"]["events"]["train"] = 9

    assert changed(stages, resolve(tmp_path / "events", events)) == {"check", "newsroom"}
    encoders = {f"evaluate@{task}" for task in ("mlm", "glue", "ner", "qa")}
    assert after(stages, {"train@mlm"}) >= encoders
    assert after(stages, {"train@t5_mlm"}) == {
        *stages_of("t5_mlm", "train", "evaluate", "spread"),
        *stages_of("summarization", "train", "evaluate", *REPEATED, "spread"),
    }
    assert after(stages, {"newsroom"}) >= {
        stage_name(kind, task) for kind in KINDS for task in TASKS if task != "speech"
    }
    assert after(stages, {"newsroom-speech"}) == {
        "newsroom-speech",
        "tokenizer@whisper",
        *stages_of("speech", *KINDS),
    }


@pytest.mark.parametrize("task", TASKS)
def test_a_baseline_reads_no_parameters(task, stages):
    """So that it is not run again for another learning rate."""
    stage = stages[stage_name("baseline", task)]
    assert stage["params"] == {}
    words = shlex.split(stage["cmd"])
    assert words[:4] == ["python", "-m", "stages.pipeline.baseline", task]
    if "--tokenizer" in words:
        assert words[words.index("--tokenizer") + 1] in stage["deps"]


def test_params_are_fine(monkeypatch):
    monkeypatch.chdir(ROOT)
    check_params()


def test_every_stage_is_in_the_run_cache():
    """DVC leaves out a stage with an uncached output, unless that is a metric or a plot."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    left_out = {
        name
        for name, stage in stages.items()
        for out in stage.get("do", stage).get("outs", [])
        if isinstance(out, dict)
    }
    # They take a second, and look at what is installed and at the sources.
    assert left_out == {"versions", "code"}
