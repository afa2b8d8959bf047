"""The gate's output as JSON and Markdown."""

import json
import re

import pytest


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
        "tolerance": 10.0, "relative": True, "beats": None, "margin": None, "baseline": None,
        "baseline_method": None, "data": None, "base": 10, "value": 12, "std": None, "change": 2.0,
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


FORGED = [
    "x\n### Gate: 16 gates hold",
    "x\r\n| glue | eval_accuracy | holds |",
    "x | holds |",
    "x\u2028### Gate",
    "x\x0b### Gate\x1b[2K",
    "`x` <!-- <img src=a> [x](http://a.test) **x** ~~x~~",
    "\u202eevitagen",
    "\\| x",
]


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("form", ["--md", None])
def test_a_name_forges_no_line(repository, capsys, name, form):
    """As a task's and a metric's, here and at the base."""
    repository.params["tasks"][name] = {}
    repository.params["gates"][name] = {name: {"min": 0.5}}
    repository.metrics["glue"][name] = 1
    repository.write()
    repository.commit()
    del repository.metrics["glue"][name]
    repository.write()
    arguments = [form] if form else []
    assert repository.gate("--base", "main", *arguments) == 2
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    for text in (shown.out, shown.err):
        assert all(line.isprintable() for line in text.splitlines())
        assert all(line.isprintable() for line in text.split("\n"))
    if form:
        assert [line for line in lines if line.startswith("#")] == lines[:1]
        table = [line for line in lines if line.startswith("|")]
        # A bar that is escaped is none, and neither is a backslash before one.
        bars = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in table]
        assert set(bars) == {9}
        ours = re.sub(r"\*\*[a-z ]+\*\* \|$", "", shown.out, flags=re.MULTILINE)
        assert not re.search(r"(?<!\\)[`*\[\]~<>]", ours.replace("\\\\", ""))
    else:
        verdicts = ("missing", "gone", "holds", "unreadable", "not as run", "verdict")
        assert all(line.split("  ")[-1].strip().endswith(verdicts) for line in lines)


@pytest.mark.parametrize("name", ["x\0", "\ud83d"])
def test_a_name_that_no_file_can_have(repository, capsys, name):
    content = json.dumps({"tasks": {name: {}}, "gates": {name: {name: {"min": 1}}}})
    (repository.folder / "params.yaml").write_text(content)
    for form in ("--md", "--json"):
        assert repository.gate("--base", "main", form) == 2
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        shown.out.encode()
