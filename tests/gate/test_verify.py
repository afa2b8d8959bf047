"""Whether a run gave the bytes that a commit records."""

import json

import pytest
import yaml
from support.repository import Repository

from stages.core.errors import InputError
from stages.gate.lockfile import Record
from stages.gate.verify import compare, main

PARAMS = {
    "tasks": {"glue": {"portable": True, "seed": 1}, "ner": {"seed": 1}},
    "gates": {"ner": {"eval_f1": {"min": 0.5, "tolerance": 0.1}}},
}
STAGES = (
    *("newsroom", "fetch@glue", "train@glue", "train@ner", "evaluate@ner", "train-seed@glue-2"),
    "spread@ner",
)


def records(**outs: str) -> dict[str, Record]:
    """A run of `STAGES`: each makes one file of its name, of the bytes `a` or those given."""
    made = {stage: outs.get(stage.replace("@", "_").replace("-", "_"), "a") for stage in STAGES}
    deps = {
        "fetch@glue": {"newsroom": made["newsroom"]},
        "train@glue": {"fetch@glue/train.csv": made["fetch@glue"], "code.json": "c"},
        "evaluate@ner": {"train@ner": made["train@ner"]},
    }
    return {
        stage: Record("python", deps.get(stage, {}), {"params.yaml": {}}, {stage: made[stage]})
        for stage in STAGES
    }


def test_the_same():
    found = compare(records(), records(), PARAMS)
    assert (found.same, found.began, found.follow, found.free) == (len(STAGES), {}, [], [])


def test_where_it_began_and_what_follows():
    found = compare(records(fetch_glue="b", train_glue="b"), records(), PARAMS)
    assert found.began == {"fetch@glue": ["fetch@glue"]}
    assert found.follow == ["train@glue"]
    assert found.same == len(STAGES) - 2


def test_a_repeat_is_of_its_task():
    assert compare(records(train_seed_glue_2="b"), records(), PARAMS).began
    loose = {"tasks": {"glue": {}}}
    found = compare(records(train_seed_glue_2="b"), records(), loose)
    assert (found.began, found.free) == ({}, ["train-seed@glue-2"])


def test_a_task_that_is_not_portable_may_differ():
    found = compare(records(train_ner="b", evaluate_ner="b", spread_ner="b"), records(), PARAMS)
    assert (found.began, found.follow) == ({}, [])
    assert found.free == ["train@ner", "evaluate@ner", "spread@ner"]


def test_data_may_not():
    """Only what XLA computes may differ without the mode."""
    assert compare(records(newsroom="b"), records(), {}).began == {"newsroom": ["newsroom"]}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"params": {"params.yaml": {"seed": 2}}}, "train@glue was made from another params.yaml"),
        ({"cmd": "python -O"}, "train@glue was made from another params.yaml"),
        (
            {"deps": {"fetch@glue/train.csv": "a", "code.json": "d"}},
            "train@glue was made from another code.json",
        ),
    ],
)
def test_another_input_is_no_comparison(changes, named):
    here = records(train_glue="b")
    here["train@glue"] = Record(**{**vars(here["train@glue"]), **changes})
    with pytest.raises(InputError, match=named):
        compare(here, records(), PARAMS)
    # Where the bytes are the same all the same, nothing is in the way.
    here["train@glue"] = Record(**{**vars(here["train@glue"]), "outs": {"train@glue": "a"}})
    assert compare(here, records(), PARAMS).same == len(STAGES)


def test_other_stages():
    here = records()
    del here["newsroom"]
    with pytest.raises(InputError, match=r"other stages than in the commit \(newsroom\)"):
        compare(here, records(), PARAMS)


@pytest.fixture
def project(tmp_path):
    """A committed run, and `write(f1, **outs)`, which writes another over it."""

    def write(f1: float, **outs: str) -> None:
        stages = {
            stage: {
                "cmd": record.cmd,
                "deps": [{"path": path, "md5": md5} for path, md5 in record.deps.items()],
                "outs": [{"path": path, "md5": md5} for path, md5 in record.outs.items()],
            }
            for stage, record in records(**outs).items()
        }
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
        (tmp_path / "metrics").mkdir(exist_ok=True)
        (tmp_path / "metrics/ner.json").write_text(json.dumps({"eval_f1": f1}))

    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write(0.8)
    repository = Repository(tmp_path)
    repository.git("init", "--quiet")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "A run")
    return write


@pytest.mark.parametrize(
    ("f1", "outs", "status", "said"),
    [
        (0.8, {}, 0, "7 outputs have the bytes that HEAD records"),
        (0.8, {"train_glue": "b"}, 1, "error: train@glue: other bytes of train@glue"),
        (0.8, {"newsroom": "b", "fetch_glue": "b"}, 1, "error: and so of fetch@glue"),
        (0.75, {"train_ner": "b"}, 0, "1 of tasks that are not portable have others: train@ner"),
        (0.6, {"train_ner": "b"}, 1, "ner.eval_f1"),
    ],
)
def test_statuses(project, tmp_path, capsys, f1, outs, status, said):
    project(f1, **outs)
    assert main(["--repo-dir", str(tmp_path)]) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_nothing_can_be_said(tmp_path, capsys):
    assert main(["--repo-dir", str(tmp_path)]) == 2
    assert "params.yaml" in capsys.readouterr().err
