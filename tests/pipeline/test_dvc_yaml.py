"""The pipeline's text: what each stage declares against what its command imports and reads."""

import ast
import shutil
from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from support import scripts
from support.paths import ROOT

from stages.core.params import task_values
from stages.core.schema import build
from stages.models import FAMILIES
from stages.pipeline import seeds
from stages.pipeline.check import check_params
from stages.tasks.registry import TASKS, arguments_class, part_name

TOKENIZERS = ("encoder", "gpt2", "t5", "whisper")
# The family of the models that a task runs on in the pipeline.
FAMILY = {"clm": "gpt2", "t5_mlm": "t5", "summarization": "t5", "speech": "whisper"}
# The baselines of these count in a tokenizer's pieces, and so need one.
TEXT = ("mlm", "clm", "t5_mlm")
# Each task has one repeat here, with this seed.
SEED = 7
REPEATED = ("train-seed", "evaluate-seed")
KINDS = ("fetch", "train", "evaluate", *REPEATED, "spread", "baseline")
ALONE = {
    "seeds": "stages/pipeline/seeds.py",
    "versions": "stages/core/versions.py",
    "newsroom": "stages/newsroom/__main__.py",
    "newsroom-speech": "stages/newsroom/speech/__main__.py",
    **{f"tokenizer@{name}": "stages/pipeline/make_tokenizer.py" for name in TOKENIZERS},
    "checkpoint@it": "stages/pipeline/fetch_checkpoint.py",
}
ENTRY = {
    "checkpoints": {"it": {"id": "owner/model", "revision": "main"}},
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
    unrolled = seeds.repeats(str(folder / "params.yaml"), str(folder / "dvc.yaml"))
    (folder / "seeds.yaml").write_text(seeds.as_text(unrolled))
    with Repo(str(folder)) as repo:
        return {
            stage.name: {
                "cmd": stage.cmd,
                "deps": {
                    dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)
                },
                "outs": {out.def_path: out.use_cache for out in stage.outs},
                "params": {
                    key: value_at(params, key)
                    for dep in stage.deps
                    if isinstance(dep, ParamsDependency)
                    # `dep.read_params()` reads the file anew for every stage: seconds of each test.
                    for key in dep.params
                },
            }
            for stage in repo.index.stages
        }


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return resolve(tmp_path_factory.mktemp("pipeline") / "repo")


@cache
def imported(file: str, nested: bool = True) -> frozenset[str]:
    """The project's files that a file imports, those within functions too, through all levels.

    A package that holds nothing but its docstring is left out: no change in it changes a figure.
    """
    seen, found, waiting = set(), set(), [file]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        waiting += [
            str(parent / "__init__.py")
            for parent in Path(path).parents
            if (ROOT / parent / "__init__.py").is_file()
        ]
        tree = ast.parse((ROOT / path).read_text())
        if Path(path).name != "__init__.py" or len(tree.body) > 1:
            found.add(path)
        for node in ast.walk(tree) if nested else tree.body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import is not followed"
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                base = Path(*name.split("."))
                for module in (base.with_suffix(".py"), base / "__init__.py"):
                    if name.split(".")[0] == "stages" and (ROOT / module).is_file():
                        waiting.append(str(module))
    return frozenset(found)


def needed(kind: str, task: str) -> frozenset[str]:
    """What the command of a stage imports, by name or through a table."""
    if kind == "fetch":
        return imported("stages/pipeline/fetch.py") | imported(
            f"{part_name(task, 'convert').replace('.', '/')}.py"
        )
    if kind == "spread":
        return imported("stages/pipeline/aggregate_seeds.py")
    if kind == "baseline":
        return imported("stages/pipeline/baseline.py") | imported(f"stages/baselines/{task}.py")
    script = imported(f"stages/{scripts.SCRIPTS[task]}.py")
    assert "stages/models/__init__.py" in script
    return script | imported(f"stages/models/{FAMILY.get(task, 'encoder')}.py")


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


def test_the_walk_sees_imports_within_functions_and_packages():
    assert "stages/models/pretrained/folder.py" in imported("stages/training/session.py")
    assert "stages/__init__.py" in imported("stages/tasks/mlm/rows.py")
    assert "stages/tasks/__init__.py" not in imported("stages/tasks/mlm/rows.py")
    assert "stages/models/layers.py" not in imported(
        "stages/pipeline/fetch_checkpoint.py", nested=False
    )
    assert "stages/models/layers.py" in imported("stages/pipeline/fetch_checkpoint.py")


def test_every_task_has_the_same_stages(stages):
    assert set(TASKS) == set(scripts.SCRIPTS)
    expected = {stage_name(kind, task) for kind in KINDS for task in TASKS} | set(ALONE)
    assert set(stages) == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_imported_is_declared(kind, task, stages):
    declared = stages[stage_name(kind, task)]["deps"]
    missing = {file for file in needed(kind, task) if not covers(declared, file)}
    assert missing == set()


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_task_imports_is_not_declared(kind, stages):
    used = frozenset().union(*(needed(kind, task) for task in TASKS))
    for task in TASKS:
        code = {dep for dep in stages[stage_name(kind, task)]["deps"] if dep.startswith("stages")}
        idle = {dep for dep in code if not any(covers({dep}, file) for file in used)}
        # The baseline of clm counts a stream of tokens, without the rows of its task.
        assert idle <= ({"stages/tasks/clm"} if (kind, task) == ("baseline", "clm") else set())
        assert "stages" not in code
        others = {name for name in TASKS if name != task}
        assert not {dep for dep in code if others & set(Path(dep).with_suffix("").parts)}


@pytest.mark.parametrize("name", ALONE)
def test_stages_of_no_task(name, stages):
    # A checkpoint's bytes are the hub's: the modules that check it are left out on purpose.
    needs = imported(ALONE[name], nested=name != "checkpoint@it")
    declared = stages[name]["deps"]
    assert {file for file in needs if not covers(declared, file)} == set()
    code = {dep for dep in declared if dep.startswith("stages")}
    assert {dep for dep in code if not any(covers({dep}, file) for file in needs)} == set()


def test_the_models_of_every_family_are_in_its_slots():
    assert set(FAMILIES.values()) == {"encoder", *FAMILY.values()}


@pytest.mark.parametrize("task", TASKS)
def test_the_chain_of_a_task(task, stages):
    suffixes = {"glue": "csv", "speech": "parquet", **dict.fromkeys(TEXT, "txt")}
    script, suffix = scripts.SCRIPTS[task], suffixes.get(task, "json")
    train, evaluate = stages[f"train@{task}"], stages[f"evaluate@{task}"]
    assert stages[f"fetch@{task}"]["outs"] == {f"data/{task}": True}
    assert train["outs"] == {f"models/{task}": True, f"plots/{task}": False}
    assert evaluate["outs"] == {f"results/{task}": True, f"metrics/{task}.json": False}
    read = {dep for dep in train["deps"] if dep.startswith("data")}
    assert read == {f"data/{task}/train.{suffix}", f"data/{task}/validation.{suffix}"}
    assert {dep for dep in evaluate["deps"] if dep.startswith(("data", "models/"))} == {
        f"data/{task}/test.{suffix}",
        f"models/{task}",
    }
    assert "versions.json" in train["deps"] & evaluate["deps"]
    assert f"-m stages.{script} --params tasks.{task} --do_train" in train["cmd"]
    assert "--do_train" not in evaluate["cmd"]


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
@pytest.mark.parametrize("kind", ["train", "evaluate", *REPEATED])
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
    training = kind.startswith("train")
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
        made = {out for name in names for out in stages[name]["outs"]}
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
    assert hit == stages_of(task, "train", "evaluate", *REPEATED)
    assert after(stages, hit) == hit | {f"spread@{task}"}


def test_a_changed_list_of_seeds_runs_no_other_seed(stages, tmp_path):
    def more(params):
        params["seeds"]["glue"] = [SEED, 8]

    hit = changed(stages, resolve(tmp_path / "more", more))
    assert hit == {"seeds", "train-seed@glue-8", "evaluate-seed@glue-8", "spread@glue"}

    def none(params):
        params["seeds"] = {}

    hit = changed(stages, resolve(tmp_path / "none", none))
    assert hit == {
        "seeds", *(stage_name(kind, task) for kind in (*REPEATED, "spread") for task in TASKS)
    }  # fmt: skip


def test_another_start_is_told_to_the_check_of_seeds(stages, tmp_path):
    def start(params):
        params["tasks"]["glue"]["model_name_or_path"] = "checkpoints/it"

    hit = changed(stages, resolve(tmp_path / "repo", start))
    assert hit == {"seeds"} | stages_of("glue", "train", "evaluate", *REPEATED)


def test_other_changes(stages, tmp_path):
    def source(params):
        params["tasks"]["glue"]["data"]["source"] = "mine"

    hit = changed(stages, resolve(tmp_path / "source", source))
    assert {"fetch@glue", "train@glue", "evaluate@glue"} <= hit | after(stages, hit)
    assert {task_of(name) for name in hit} == {"glue"}

    def seed(params):
        params["newsroom"]["seed"] = 9

    hit = changed(stages, resolve(tmp_path / "seed", seed))
    assert hit == {"newsroom", "newsroom-speech"}

    def utterances(params):
        params["newsroom"]["utterances"]["train"] = 9

    assert changed(stages, resolve(tmp_path / "more", utterances)) == {"newsroom-speech"}

    def events(params):
        params["newsroom"]["events"]["train"] = 9

    assert changed(stages, resolve(tmp_path / "events", events)) == {"newsroom"}
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


@pytest.mark.parametrize(
    ("file", "tasks"),
    [
        ("stages/tasks/qa/answers.py", {"qa"}),
        ("stages/tasks/qa/windows.py", {"qa"}),
        ("stages/run_qa.py", {"qa"}),
        ("stages/tasks/mlm/rows.py", {"mlm"}),
        ("stages/tasks/ner/convert.py", {"ner"}),
        ("stages/training/step.py", set(TASKS)),
        ("stages/models/encoding", {"mlm", "glue", "ner", "qa"}),
        ("stages/models/bert/init_neighbours.py", {"mlm", "glue", "ner", "qa"}),
        ("stages/models/t5.py", {"t5_mlm", "summarization"}),
        ("stages/models/whisper.py", {"speech"}),
        ("stages/generation/__init__.py", {"clm", "t5_mlm", "summarization", "speech"}),
        ("stages/tasks/text/documents.py", {"mlm", "clm", "t5_mlm"}),
    ],
)
def test_a_changed_module_runs_who_imports_it(file, tasks, stages):
    hit = {name for name, stage in stages.items() if covers(stage["deps"], file)}
    assert {task_of(name) for name in hit} == tasks
    if file == "stages/tasks/qa/answers.py":
        runs = stages_of("qa", "train", "evaluate", *REPEATED)
        assert runs <= hit <= runs | {"baseline@qa"}


@pytest.mark.parametrize("task", TASKS)
def test_a_baseline_reads_no_parameters(task, stages):
    """So that it is not run again for another learning rate."""
    stage = stages[stage_name("baseline", task)]
    assert stage["params"] == {}
    for name in ("arguments", "params", "schema"):
        assert f"stages/core/{name}.py" not in needed("baseline", task)
    words = stage["cmd"].split()
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
    assert left_out == {"versions"}  # it takes a second, and looks at what is installed
