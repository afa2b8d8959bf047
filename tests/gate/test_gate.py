"""Controls for the gate: repositories in which one thing is wrong, and the exit status of each."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.errors import InputError
from stages.core.params import parse_params
from stages.gate.__main__ import main
from stages.gate.files import parse_metrics
from stages.gate.rules import evaluate_gates

PARAMS = {
    "tasks": {"glue": {"seed": 1}, "clm": {"seed": 1}},
    "gates": {
        "glue": {"eval_accuracy": {"min": 0.8, "tolerance": 0.1}, "eval_loss": {"max": 0.5}},
        "clm": {"eval_perplexity": {"max": 20, "tolerance": "10%"}},
    },
}
METRICS = {
    "glue": {"eval_accuracy": 0.9, "eval_loss": 0.5, "note": "text is no matter"},
    "clm": {"eval_perplexity": 10},
}


class Repository:
    """A Git repository with params.yaml, metrics and a dvc.lock that records them."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "metrics").mkdir(parents=True)
        self.params = json.loads(json.dumps(PARAMS))
        self.metrics = json.loads(json.dumps(METRICS))
        self.write()
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=")
        line = ["git", *identity, "-C", str(self.folder), *arguments]
        subprocess.run(line, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "state")

    def write(self) -> None:
        """Write everything as a run would: the lock records what the metrics files hold."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))
        for task, metrics in self.metrics.items():
            self.file(task).parent.mkdir(exist_ok=True)
            self.file(task).write_text(json.dumps(metrics))
        self.record()

    def record(self) -> None:
        stages = {}
        for path in sorted((self.folder / "metrics").rglob("*.json")):
            out = {
                "path": path.relative_to(self.folder).as_posix(),
                "hash": "md5",
                "md5": hashlib.md5(path.read_bytes()).hexdigest(),
            }
            stages[out["path"]] = {"cmd": "x", "outs": [out]}
        lock = yaml.safe_dump({"schema": "2.0", "stages": stages})
        (self.folder / "dvc.lock").write_text(lock)

    def file(self, task: str) -> Path:
        return self.folder / "metrics" / f"{task}.json"

    def gate(self, *arguments: str) -> int:
        return main(["--repo-dir", str(self.folder), *arguments])


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "work")


def test_untouched_holds(repository, capsys):
    assert repository.gate() == 0
    shown = capsys.readouterr()
    assert "3 gates hold" in shown.out
    assert "\033" not in shown.out
    assert shown.err == ""


def test_pushed_below(repository, capsys):
    repository.metrics["glue"]["eval_accuracy"] = 0.79
    repository.write()
    assert repository.gate() == 1
    error = capsys.readouterr().err
    assert "metrics/glue.json: eval_accuracy falls short: 0.79 is below min 0.8" in error


def test_pushed_above(repository):
    repository.metrics["clm"]["eval_perplexity"] = 20.000001
    repository.write()
    assert repository.gate() == 1
    assert repository.gate("--task", "glue") == 0


def test_limits_are_inclusive(repository):
    repository.metrics["glue"]["eval_accuracy"] = 0.8
    repository.metrics["clm"]["eval_perplexity"] = 20
    repository.write()
    assert repository.gate() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"eval_accuracy": NaN, "eval_loss": 0}', "NaN is not finite"),
        ('{"eval_accuracy": -Infinity, "eval_loss": 0}', "not finite"),
        ('{"eval_accuracy": 1e999, "eval_loss": 0}', "not finite"),
        ('{"eval_accuracy": 1' + "0" * 400 + ', "eval_loss": 0}', "no finite number"),
        ('{"eval_accuracy": 0.9, "eval_l', "not readable"),
        ("", "not readable"),
        ('{"eval_accuracy": 0.1, "eval_accuracy": 0.9, "eval_loss": 0}', "there twice"),
        ('{"eval_accuracy": 0.9, "eval_loss": {"mean": 0.1}}', "single value"),
        ('{"eval_accuracy": 0.9, "eval_loss": [0.1]}', "single value"),
        ('[{"eval_accuracy": 0.9}]', "one JSON object"),
        ('{"eval_accuracy": true, "eval_loss": 0}', "no finite number but True"),
        ('{"eval_accuracy": "0.9", "eval_loss": 0}', "no finite number but '0.9'"),
        ('{"eval_accuracy": null, "eval_loss": 0}', "no finite number but None"),
        ('{"eval_loss": 0}', "eval_accuracy is missing"),
        (b'{"eval_accuracy": 0.9, "eval_loss": 0, "caf\xe9": 1}', "not readable"),
        ("[" * 100_000, "not readable"),
    ],
)
def test_metrics_file_that_cannot_be_judged(repository, capsys, content, said):
    content = content if isinstance(content, bytes) else content.encode()
    repository.file("glue").write_bytes(content)
    repository.record()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "metrics/glue.json" in error


def test_file_removed(repository, capsys):
    repository.file("glue").unlink()
    assert repository.gate() == 2
    # Two gates on the one file are one problem.
    assert capsys.readouterr().err.count("metrics/glue.json: missing") == 1


def test_folder_in_place_of_a_file(repository):
    repository.file("glue").unlink()
    repository.file("glue").mkdir()
    assert repository.gate("--no-lock-check") == 2


def test_two_wins_over_one(repository):
    repository.metrics["glue"]["eval_accuracy"] = 0.1
    del repository.metrics["clm"]["eval_perplexity"]
    repository.write()
    assert repository.gate() == 2
    assert repository.gate("--task", "glue") == 1


def test_edited_by_hand(repository, capsys):
    repository.file("glue").write_text('{"eval_accuracy": 0.99, "eval_loss": 0.1}')
    assert repository.gate() == 2
    assert "metrics/glue.json: differs from what dvc.lock records" in capsys.readouterr().err
    assert repository.gate("--task", "clm") == 0
    assert repository.gate("--no-lock-check") == 0


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (None, "dvc.lock: missing"),
        ("schema: '2.0'\n", "dvc.lock: holds no stages"),
        ("stages: {a: {outs: [{md5: x}]}}\n", "the entry of a is not DVC's"),
        ("stages: {a: {cmd: x}}\n", "no stage in dvc.lock records it"),
        ("<<<<<<< ours\nstages: {}\n", "dvc.lock, line 2: mapping values are not allowed here"),
    ],
)
def test_lock_that_records_nothing(repository, capsys, lock, said):
    path = repository.folder / "dvc.lock"
    path.unlink()
    if lock is not None:
        path.write_text(lock)
    assert repository.gate() == 2
    assert said in capsys.readouterr().err
    assert repository.gate("--no-lock-check") == 0


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mim": 0.8}, "unknown key 'mim'; did you mean 'min'?"),
        ({"min": 0.8, "toleranc": 1}, "unknown key 'toleranc'; did you mean 'tolerance'?"),
        ({}, "holds nothing"),
        ({"better": "higher"}, "holds nothing"),
        (0.8, "write a mapping"),
        (None, "write a mapping"),
        ({"min": True}, "min is True; expected a number"),
        ({"min": "0.8"}, "min is '0.8'; expected a number"),
        ({"min": None}, "min has no value; expected a number"),
        ({"max": float("nan")}, "max is nan; expected a number"),
        ({"max": float("inf")}, "max is inf; expected a number"),
        ({"min": 0.9, "max": 0.8}, "min 0.9 is above max 0.8"),
        ({"min": 0.8, "tolerance": -1}, "tolerance is -1; expected a number of 0 or more, or"),
        ({"min": 0.8, "tolerance": "2"}, "tolerance is '2'; expected a number of 0 or more"),
        ({"min": 0.8, "tolerance": "x%"}, "tolerance is 'x%'; expected a number"),
        ({"min": 0.8, "tolerance": "nan%"}, "tolerance is 'nan%'; expected a number"),
        ({"min": 0.8, "tolerance": None}, "tolerance has no value; expected a number"),
        ({"tolerance": 1}, "better: higher"),
        ({"tolerance": 1, "better": "more"}, "better is 'more'; expected one of higher, lower"),
        ({"min": 0.8, "better": "lower"}, "contradicts"),
        ({"min": 0.8, "deviations": -1}, "deviations is -1; expected a number, >= 0"),
        ({"min": 0.8, "deviations": "2"}, "deviations is '2'; expected a number, >= 0"),
        ({"min": 0.8, "deviations": None}, "deviations has no value; expected a number"),
        ({"deviations": 2}, "holds nothing"),
        ({"tolerance": 1, "better": "higher", "deviations": 2}, "deviations: needs a min or max"),
        ({"min": 0.8, "deviations": 2}, "deviations: seeds.glue lists no seeds to repeat with"),
    ],
)
def test_gate_badly_written(repository, capsys, spec, said):
    repository.params["gates"]["glue"]["eval_accuracy"] = spec
    repository.write()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "params.yaml: gates.glue.eval_accuracy" in error


def test_gates_and_tasks_must_match(repository, capsys):
    repository.params["gates"]["gleu"] = repository.params["gates"].pop("glue")
    repository.write()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert "gleu is no task; known are" in error
    assert "gates.glue: no gates" in error
    assert repository.gate("--task", "clm") == 0
    assert repository.gate("--task", "nothing") == 2


@pytest.mark.parametrize(
    "text",
    [
        "tasks: {glue: {}}\n",
        "gates: {glue: {eval_accuracy: {min: 0}}}\n",
        "tasks: {glue: {}}\ngates: {glue: {eval_loss: {max: 1}}, glue: {eval_loss: {max: 9}}}\n",
        "tasks: [glue]\ngates: {glue: {eval_loss: {max: 1}}}\n",
        "tasks: {glue: {}, on: {}}\ngates: {glue: {eval_loss: {max: 1}}}\n",
        "tasks: {glue: {}}\ngates: {glue: {1: {max: 1}}}\n",
        "tasks: {\n",
        "",
        None,
    ],
)
def test_params_without_usable_gates(repository, text):
    path = repository.folder / "params.yaml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert repository.gate() == 2


def test_number_with_an_exponent_and_no_point(repository):
    text = "tasks: {glue: {}}\ngates: {glue: {eval_loss: {max: %s}}}\n"
    path = repository.folder / "params.yaml"
    path.write_text(text % "5e-1")
    assert repository.gate() == 0
    path.write_text(text % "49e-2")
    assert repository.gate() == 1
    assert parse_params(b"x: [1e-5, -2E3, 1.5e3, '1e-5', 12, v1e5]", "x") == {
        "x": [1e-05, -2000.0, 1500.0, "1e-5", 12, "v1e5"]
    }


@pytest.mark.parametrize(
    ("task", "metric", "value", "status"),
    [
        ("glue", "eval_accuracy", 0.8, 0),  # 0.1 below 0.9, the tolerance itself
        ("glue", "eval_accuracy", 0.95, 0),
        ("clm", "eval_perplexity", 11, 0),  # 10% above
        ("clm", "eval_perplexity", 11.001, 1),
        ("clm", "eval_perplexity", 3, 0),
        ("glue", "eval_loss", 0.4, 0),  # no tolerance: shown, not held
    ],
)
def test_base(repository, task, metric, value, status):
    repository.metrics[task][metric] = value
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == status


def test_base_absolute_tolerance(repository, capsys):
    repository.metrics["glue"]["eval_accuracy"] = 0.95
    repository.write()
    repository.commit()
    repository.metrics["glue"]["eval_accuracy"] = 0.84
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 1
    shown = capsys.readouterr()
    assert "0.84 is more than 0.1 below the base, 0.95" in shown.err
    assert "-0.11" in shown.out
    assert "regressed" in shown.out


def test_base_without_the_metric_is_new(repository, capsys):
    repository.params["tasks"]["ner"] = {}
    repository.params["gates"]["ner"] = {"eval_f1": {"min": 0.5, "tolerance": 0}}
    repository.params["gates"]["glue"]["eval_f1"] = {"tolerance": 0, "better": "higher"}
    repository.metrics["ner"] = {"eval_f1": 0.6}
    repository.metrics["glue"]["eval_f1"] = 0.6
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().out.count("new") == 2


def test_a_metric_that_only_the_base_has(repository, capsys):
    repository.metrics["glue"]["eval_f1"] = 0.7  # no gate
    repository.write()
    repository.commit()
    del repository.metrics["glue"]["eval_f1"]
    repository.metrics["glue"]["eval_f2"] = 0.7
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    shown = capsys.readouterr()
    assert "metrics/glue.json: the base has eval_f1, here it is gone" in shown.err
    (gone,) = [line.split() for line in shown.out.splitlines() if "eval_f1" in line]
    assert gone == ["glue", "eval_f1", "0.7", "gone"]
    (new,) = [line.split() for line in shown.out.splitlines() if "eval_f2" in line]
    assert new == ["glue", "eval_f2", "new", "0.7", "new"]
    assert repository.gate("--base", "main", "--task", "clm") == 0


def test_a_metric_given_up_on_purpose(repository, capsys):
    repository.metrics["glue"]["eval_f1"] = 0.7
    repository.write()
    repository.commit()
    repository.params["gates"]["glue"]["eval_f1"] = "retired"
    repository.write()
    assert repository.gate("--base", "main") == 2
    assert "is retired, but metrics/glue.json has it" in capsys.readouterr().err
    del repository.metrics["glue"]["eval_f1"]
    repository.write()
    assert repository.gate("--base", "main") == 0
    shown = capsys.readouterr()
    assert "retired" in shown.out
    assert "3 gates hold" in shown.out
    assert shown.err == ""
    repository.commit()
    assert repository.gate("--base", "main") == 0
    assert "gates.glue.eval_f1 is retired, and the base has it no more" in capsys.readouterr().err


def test_a_task_that_only_the_base_has(repository, capsys):
    for part in ("tasks", "gates"):
        del repository.params[part]["clm"]
    del repository.metrics["clm"]
    repository.file("clm").unlink()
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    assert "the base has the task clm, and tasks.clm is gone" in capsys.readouterr().err
    assert repository.gate("--base", "main", "--task", "glue") == 0
    repository.params["gates"]["clm"] = "retired"
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert "retired" in capsys.readouterr().out
    repository.params["tasks"]["clm"] = {}
    repository.write()
    assert repository.gate("--base", "main") == 2
    assert "gates.clm is retired, but tasks.clm is still there" in capsys.readouterr().err


def test_gates_are_not_all_retired(repository, capsys):
    repository.params["gates"]["clm"] = {"eval_perplexity": "retired"}
    repository.write()
    assert repository.gate() == 2
    assert "gates.clm: no gates" in capsys.readouterr().err


def test_a_base_before_the_pipeline(repository):
    repository.git("rm", "-q", "--cached", "params.yaml", "dvc.lock", "metrics/*")
    repository.git("commit", "-q", "-m", "state of the index")
    assert repository.gate("--base", "main") == 0


@pytest.mark.parametrize("rev", ["nosuch", "-x", "main:params.yaml", ""])
def test_base_unknown(repository, capsys, rev):
    assert repository.gate(f"--base={rev}") == 2
    assert "no such revision" in capsys.readouterr().err


def test_base_outside_git(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    assert main(["--repo-dir", str(tmp_path), "--base", "main"]) == 2
    assert "not a git repository" in capsys.readouterr().err


def test_base_before_the_first_commit(repository, capsys):
    shutil.rmtree(repository.folder / ".git")
    repository.git("init", "-q", "-b", "main")
    assert repository.gate("--base", "main") == 2
    assert "no commits here yet; commit first" in capsys.readouterr().err


def test_base_not_in_a_shallow_clone(repository, tmp_path, capsys):
    repository.git("checkout", "-q", "-b", "other")
    repository.commit()
    repository.commit()
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.folder}", str(clone))
    line = ["--repo-dir", str(clone), "--base"]
    assert main([*line, "origin/main"]) == 2
    assert "no such revision in this shallow clone; run git fetch --unsh" in capsys.readouterr().err
    # What is there can be compared with, but not what lies before both.
    subprocess.run(
        ["git", "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main"],
        cwd=clone,
        check=True,
    )
    assert main([*line, "origin/main"]) == 0
    assert main([*line, "origin/main", "--merge-base"]) == 2
    assert "where HEAD left it is not in this shallow clone" in capsys.readouterr().err


def test_base_that_was_never_fetched(repository, tmp_path, capsys):
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.folder), str(clone))
    assert main(["--repo-dir", str(clone), "--base", "origin/release/2"]) == 2
    assert "run git fetch origin release/2" in capsys.readouterr().err


def test_the_commit_that_a_branch_left_from(repository, capsys):
    """What main gained since then is not held against the branch."""
    repository.git("checkout", "-q", "-b", "branch")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.metrics["glue"]["eval_accuracy"] = 0.99
    repository.metrics["glue"]["eval_new"] = 1
    repository.params["gates"]["glue"]["eval_accuracy"]["tolerance"] = 0.05
    repository.write()
    repository.commit()
    repository.git("checkout", "-q", "branch")
    assert repository.gate("--base", "main") == 2
    assert repository.gate("--base", "main", "--merge-base") == 0
    repository.git("checkout", "-q", "--orphan", "alone")
    (repository.folder / "other").touch()  # else it is the first commit once more
    repository.commit()
    assert repository.gate("--base", "main", "--merge-base") == 2
    assert "shares no commit with HEAD" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        repository.gate("--merge-base")
    assert left.value.code == 2


def test_other_versions_are_told(repository, capsys):
    def versions(jax: str, requirements: str | None) -> None:
        (repository.folder / "versions.json").write_text(json.dumps({"jax": jax, "flax": "1"}))
        lock = yaml.safe_load((repository.folder / "dvc.lock").read_text())
        dep = {"path": "requirements.lock", "hash": "md5", "md5": requirements}
        lock["stages"]["versions"] = {"cmd": "x", "deps": [dep]}
        (repository.folder / "dvc.lock").write_text(yaml.safe_dump(lock))

    versions("0.10.1", "aa")
    repository.commit()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().err == ""
    versions("0.10.2", "bb")
    assert repository.gate("--base", "main") == 0
    error = capsys.readouterr().err
    assert "warning: other versions than at the base: jax 0.10.1 -> 0.10.2\n" in error
    assert "warning: requirements.lock is another than at the base" in error
    (repository.folder / "versions.json").write_text("{")
    assert repository.gate("--base", "main") == 0
    assert "warning: versions cannot be compared: versions.json" in capsys.readouterr().err


def test_json_for_programs(repository, capsys):
    repository.metrics["clm"]["eval_perplexity"] = 12
    repository.write()
    assert repository.gate("--base", "main", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == 1
    assert found["summary"] == "1 of 3 do not hold"
    assert found["base"]["rev"] == "main"
    assert len(found["base"]["commit"]) == 40
    (failed,) = [one for one in found["verdicts"] if one["status"]]
    message = failed.pop("message")
    assert message.startswith("metrics/clm.json: eval_perplexity regressed: 12 is more than 1")
    assert failed == {
        "task": "clm", "metric": "eval_perplexity", "min": None, "max": 20, "deviations": None,
        "tolerance": 10.0, "relative": True, "base": 10, "value": 12, "std": None, "change": 2.0,
        "verdict": "regressed", "status": 1,
    }  # fmt: skip


def test_markdown_for_a_page(repository, capsys):
    repository.metrics["glue"]["eval_accuracy"] = 0.7
    repository.write()
    assert repository.gate("--md", "--base", "main") == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("### Gate: 1 of 3 do not hold, beside main ")
    assert (
        "| glue | eval_accuracy | &gt;= 0.8 | 0.9 | 0.7 | -0.2 | 0.1 | **falls short** |"
    ) in out
    assert any(line.startswith("- error: metrics/glue.json: eval_accuracy") for line in out)
    assert repository.gate("--md", "--no-lock-check") == 1
    header = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("|"))
    assert header == "| task | metric | floor | now | verdict |"


@pytest.mark.parametrize("form", ["--json", "--md"])
def test_what_cannot_be_judged_is_said_in_every_form(repository, capsys, form):
    assert repository.gate("--base", "nosuch", form) == 2
    shown = capsys.readouterr()
    assert "no such revision" in shown.out
    assert "no such revision" in shown.err
    if form == "--json":
        assert json.loads(shown.out)["status"] == 2


def test_base_that_cannot_be_read(repository, capsys):
    repository.file("glue").write_text('{"eval_accuracy": NaN}')
    repository.commit()
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 2
    assert "main:metrics/glue.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"min": 0.7, "tolerance": 0.1}, "min 0.8 -> 0.7"),
        ({"min": 0.8}, "tolerance 0.1 -> none"),
        ({"min": 0.8, "tolerance": 0.2}, "tolerance 0.1 -> 0.2"),
        ({"min": 0.8, "tolerance": "50%"}, "tolerance 0.1 -> 50%"),
        ({"max": 1, "tolerance": 0.1}, "other direction"),
        (None, "min 0.8 -> none"),
    ],
)
def test_loosened_gate_is_shown(repository, capsys, spec, said):
    if spec is None:
        del repository.params["gates"]["glue"]["eval_accuracy"]
    else:
        repository.params["gates"]["glue"]["eval_accuracy"] = spec
    repository.write()
    assert repository.gate("--base", "main") == 0
    error = capsys.readouterr().err
    assert "warning: loosened: gates.glue.eval_accuracy" in error
    assert said in error


def test_a_task_switched_off_is_listed_and_judged_by_nothing(repository, capsys):
    repository.params["tasks"]["clm"]["enabled"] = False
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate("--base", "main") == 0
    shown = capsys.readouterr()
    assert "2 gates hold" in shown.out
    (row,) = [line.split() for line in shown.out.splitlines() if line.startswith("clm")]
    assert row[-2:] == ["switched", "off"]
    assert "warning: loosened: tasks.clm is switched off" in shown.err


def test_what_only_looks_switched_off_is_judged(repository):
    repository.params["tasks"]["clm"]["enabled"] = True
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate() == 2


def test_a_switch_that_is_text_is_refused(repository, capsys):
    repository.params["tasks"]["clm"]["enabled"] = "false"
    repository.metrics["clm"] = {}
    repository.write()
    assert repository.gate() == 2
    assert "tasks.clm.enabled is 'false'; write true or false" in capsys.readouterr().err


@pytest.fixture
def repeated(repository):
    """The mean of glue's accuracy is held, less two deviations: 0.9 - 2 x 0.05."""
    repository.params["seeds"] = {"glue": [7, 8]}
    repository.params["gates"]["glue"]["eval_accuracy"] = {
        "min": 0.8, "tolerance": 0.1, "deviations": 2
    }  # fmt: skip
    repository.metrics["seeds/glue"] = {"eval_accuracy_mean": 0.9, "eval_accuracy_std": 0.05}
    repository.write()
    return repository


def test_the_mean_over_seeds_is_held(repeated, capsys):
    assert repeated.gate() == 0  # the bound itself
    shown = capsys.readouterr().out
    assert "mean - 2 std >= 0.8  0.9 (std 0.05)  holds" in shown
    repeated.metrics["glue"]["eval_accuracy"] = 0.7  # a run is one of them
    repeated.write()
    assert repeated.gate() == 0
    repeated.metrics["seeds/glue"]["eval_accuracy_std"] = 0.0501
    repeated.write()
    assert repeated.gate() == 1
    assert (
        "metrics/seeds/glue.json: eval_accuracy falls short: mean 0.9 - 2 x std 0.0501 = 0.7998 is "
        "below min 0.8"
    ) in capsys.readouterr().err
    assert repeated.gate("--json") == 1
    (one,) = [
        one
        for one in json.loads(capsys.readouterr().out)["verdicts"]
        if one["metric"] == "eval_accuracy"
    ]
    assert (one["value"], one["std"], one["deviations"]) == (0.9, 0.0501, 2)


@pytest.mark.parametrize(("deviations", "status"), [(0, 0), (1, 0), (2.5, 0), (2.6, 1)])
def test_a_mean_held_from_above(repeated, deviations, status):
    repeated.params["seeds"]["clm"] = [7]
    repeated.params["gates"]["clm"]["eval_perplexity"] = {"max": 20, "deviations": deviations}
    repeated.metrics["seeds/clm"] = {"eval_perplexity_mean": 10, "eval_perplexity_std": 4}
    repeated.write()
    assert repeated.gate() == status


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "metrics/seeds/glue.json: missing; run `make repro`"),
        ('{"eval_accuracy_mean": 0.9}', "eval_accuracy_std is missing; run `make repro`"),
        ('{"eval_accuracy_std": 0.0}', "eval_accuracy_mean is missing"),
        ('{"eval_accuracy_mean": 0.9, "eval_accuracy_std": null}', "std is no finite number but"),
        ('{"eval_accuracy_mean": 0.9, "eval_accuracy_std": NaN}', "NaN is not finite"),
    ],
)
def test_means_that_cannot_be_judged(repeated, capsys, content, said):
    repeated.file("seeds/glue").unlink()
    if content is not None:
        repeated.file("seeds/glue").write_text(content)
    repeated.record()
    assert repeated.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "metrics/seeds/glue.json" in error
    assert repeated.gate("--task", "clm") == 0


def test_means_edited_by_hand_or_left_over(repeated, capsys):
    kept = repeated.file("seeds/glue").read_text()
    repeated.file("seeds/glue").write_text(kept.replace("0.05", "0.01"))
    assert repeated.gate() == 2
    assert "metrics/seeds/glue.json: differs from what dvc.lock rec" in capsys.readouterr().err
    assert repeated.gate("--no-lock-check") == 0
    repeated.file("seeds/glue").write_text(kept)
    repeated.params["seeds"] = {}
    (repeated.folder / "params.yaml").write_text(yaml.safe_dump(repeated.params))
    assert repeated.gate() == 2
    assert "write `seeds: {glue: [7, 8]}` and run `make repro`" in capsys.readouterr().err


def test_means_beside_those_of_the_base(repeated, capsys):
    """Without a mean there, beside its one figure, 0.9; else like with like."""
    found = repeated.metrics["seeds/glue"]
    found |= {"eval_accuracy_mean": 0.81, "eval_accuracy_std": 0.001}
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    found["eval_accuracy_mean"] = 0.8
    repeated.params["gates"]["glue"]["eval_accuracy"] |= {"min": 0.5, "tolerance": 0.09}
    repeated.write()
    assert repeated.gate("--base", "main") == 1
    assert "0.8 is more than 0.09 below the base, 0.9" in capsys.readouterr().err
    repeated.commit()
    repeated.metrics["glue"]["eval_accuracy"] = 0.5
    found["eval_accuracy_mean"] = 0.71
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    found["eval_accuracy_mean"] = 0.70
    repeated.write()
    assert repeated.gate("--base", "main") == 1
    assert "0.7 is more than 0.09 below the base, 0.8" in capsys.readouterr().err
    repeated.file("seeds/glue").write_text("{")
    repeated.commit()
    repeated.write()
    assert repeated.gate("--base", "main") == 2
    assert "main:metrics/seeds/glue.json: not readable" in capsys.readouterr().err


@pytest.mark.parametrize("deviations", [1, None])
def test_fewer_deviations_are_looser(repeated, capsys, deviations):
    repeated.commit()
    gate = repeated.params["gates"]["glue"]["eval_accuracy"]
    gate["deviations"] = deviations
    if deviations is None:
        del gate["deviations"]
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    said = f"loosened: gates.glue.eval_accuracy: deviations 2 -> {deviations or 'none'}"
    assert said in capsys.readouterr().err
    repeated.commit()
    gate["deviations"] = 2
    repeated.write()
    assert repeated.gate("--base", "main") == 0
    assert "loosened" not in capsys.readouterr().err


def test_tightened_gate_is_not_shown(repository, capsys):
    repository.params["gates"]["glue"]["eval_accuracy"] = {"min": 0.85, "tolerance": 0.01}
    repository.write()
    assert repository.gate("--base", "main") == 0
    assert capsys.readouterr().err == ""


def test_turned_direction_hides_no_regression(repository):
    repository.params["gates"]["clm"]["eval_perplexity"] = {"min": 1, "tolerance": "10%"}
    repository.metrics["clm"]["eval_perplexity"] = 15
    repository.write()
    assert repository.gate() == 0
    assert repository.gate("--base", "main") == 1


def test_folder_inside_the_repository(tmp_path):
    """A profile lives in a folder of its own; the base is read there too."""
    whole = Repository(tmp_path / "work")
    inner = whole.folder / "profiles" / "hub"
    inner.mkdir(parents=True)
    for name in ("params.yaml", "dvc.lock", "metrics"):
        (whole.folder / name).rename(inner / name)
    whole.commit()
    assert main(["--repo-dir", str(inner), "--base", "main"]) == 0
    (inner / "metrics" / "clm.json").write_text('{"eval_perplexity": 12}')
    assert main(["--repo-dir", str(inner), "--base", "main", "--no-lock-check"]) == 1
    assert main(["--repo-dir", str(whole.folder)]) == 2


def test_pure_rules():
    verdicts = evaluate_gates(PARAMS, {"glue": METRICS["glue"], "clm": InputError("gone")})
    assert [(one.task, one.metric, one.status) for one in verdicts] == [
        ("glue", "eval_accuracy", 0),
        ("glue", "eval_loss", 0),
        ("clm", "eval_perplexity", 2),
    ]


def test_decimals_are_compared_as_written():
    # In binary 0.8 - 0.1 is 0.7000000000000001, and 0.7 would be refused.
    params = {
        "tasks": {"a": {}},
        "gates": {"a": {"m": {"tolerance": 0.1, "better": "higher"}}},
    }
    verdicts = evaluate_gates(params, {"a": {"m": 0.7}}, params, {"a": {"m": 0.8}})
    assert verdicts[0].status == 0


def test_metrics_are_flat_json():
    assert parse_metrics("x", b'{"a": 1, "b": 2.5, "c": "t"}') == {"a": 1, "b": 2.5, "c": "t"}


@pytest.mark.parametrize(("accuracy", "status"), [(0.9, 0), (0.7, 1), (None, 2)])
def test_command_exits_with_the_status(repository, accuracy, status):
    if accuracy is None:
        del repository.metrics["glue"]["eval_accuracy"]
    else:
        repository.metrics["glue"]["eval_accuracy"] = accuracy
    repository.write()
    line = [sys.executable, "-m", "stages.gate"]
    ended = subprocess.run(line, cwd=repository.folder, capture_output=True, text=True)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
