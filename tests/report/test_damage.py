"""Names that look like markup, and files that are damaged: each costs its own part of the page."""

import json

import pytest
from support.made_up_run import render, write_lines, write_results

LABELS = [
    "$\\frac$",
    "$x$ and $y$",
    "\\$ $^",
    "_hidden",
    "<b>&amp;",
    "--><script>alert(1)</script>",
    "]]>",
    "two\nlines\ttabs",
    "x" * 5000,
    "\ud83d",
    "\x00\x1b",
    "\u202eevitagen",
    "",
]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_a_text(project, label):
    rows = [
        {"sentence1": label, "label": label, "prediction": "b", "probability": 0.9},
        {"sentence1": "a", "label": "b", "prediction": label, "probability": 0.8},
    ]
    write_lines(project / "results/glue/eval_predictions.json", rows)
    page, text = render(project)
    assert "glue:" not in page.text
    assert page.counts["svg"] == 4
    assert "<script" not in text
    assert "probability 0.900" in page.text
    text.encode()


@pytest.mark.parametrize("column", ["$\\frac$", "<b>", "a$b$c", "x" * 300])
def test_a_metric_is_a_text(project, column):
    (project / "plots/dvc.yaml").write_text(
        json.dumps({"plots": [{"it": {"x": "step", "y": {"glue/validation.csv": [column]}}}]})
    )
    (project / "plots/glue/validation.csv").write_text(f'step,"{column}"\n1,0.5\n')
    page, text = render(project)
    assert page.counts["svg"] == 2
    assert "<b>" not in text


HALF = '{"label": "a", "predic'
DAMAGED = [
    ("runs/glue/times.json", '{"train_seconds": 61.4, "tok', "glue: the times of its training"),
    ("runs/glue/times.json", '{"train_seconds": 61.4}', "glue: the times of its training"),
    ("runs/glue/times.json", "[1]", "glue: the times of its training"),
    ("runs/glue/times.json", '{"train_seconds": "1", "tokens_per_second": null}',
     "glue: the times of its training"),
    ("runs/glue/times.json", '{"train_seconds": 1, "tokens_per_second": NaN}',
     "glue: the times of its training"),
    ("runs/stages.json", "[1]", None),
    ("runs/stages.json", '{"train@glue": "soon"}', None),
    ("runs/stages.json", '{"train@gl', None),
    ("results/glue/eval_predictions.json", HALF, "glue: predictions are incomplete"),
    ("results/glue/eval_predictions.json", "[1]\n", "glue: predictions are incomplete"),
    ("results/glue/eval_predictions.json", '{"label": "a"}\n', "glue: predictions are incomplete"),
    ("results/glue/eval_predictions.json", '{"label": "a", "prediction": [], "probability": "x"}\n',
     "glue: predictions are incomplete"),
    ("results/glue/eval_predictions.json", b"\xff\xfe", "glue: predictions are incomplete"),
    ("results/ner/eval_predictions.json",
     '{"tokens": ["a"], "ner_tags": [], "predictions": ["O"]}\n', "ner: predictions are"),
    ("results/qa/eval_predictions.json", "[]", "qa: predictions are incomplete"),
    ("results/qa/eval_nbest_predictions.json", "{}", "qa: predictions are incomplete"),
    ("data/qa/test.json", "{", "qa: predictions are incomplete"),
    ("results/clm/eval_predictions.json", '{"label": 1, "prediction": 2, "loss": null}\n',
     "clm: predictions are incomplete"),
    ("results/summarization/predictions.json", '{"summary": 3, "prediction": "a"}\n',
     "summarization: predictions are incomplete"),
    ("data/speech/test.parquet", "no parquet", "speech: predictions are incomplete"),
    ("plots/glue/train.csv", b"step,loss\n1,\xff\n", "plots/glue/train.csv cannot be drawn"),
    ("plots/glue/train.csv", "step,loss\n1," + "9" * 200_000, "plots/glue/train.csv cannot be"),
    ("plots/dvc.yaml", "plots: [1]", "the list of plots cannot be read"),
    ("plots/dvc.yaml", "plots: {", "the list of plots cannot be read"),
    ("versions.json", '{"jax": ', "versions cannot be read"),
]  # fmt: skip


# A page takes half a second: one of each kind of file here, the others with the slow tests.
SEEN = {name: number for number, (name, *_) in reversed([*enumerate(DAMAGED)])}
CASES = [
    case if SEEN[case[0]] == number else pytest.param(*case, marks=pytest.mark.slow)
    for number, case in enumerate(DAMAGED)
]


@pytest.mark.parametrize(("name", "content", "note"), CASES)
def test_a_damaged_file_costs_its_own_part(project, name, content, note):
    write_results(project)
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    page, text = render(project, "--base", "main")
    if note:
        assert note in page.text
    assert "Traceback" not in text
    # The rest is there.
    assert "regressed: 0.75 is more than 0.1 below the base, 0.9" in page.text
    wer, rouge = "word error rate 0.50", "ROUGE-1 0.0"
    assert (wer in page.text) == ("speech" not in name)
    assert (rouge in page.text) == ("summarization" not in name)
    assert ("probability 0.950" in page.text) == ("glue/eval" not in name)
    assert page.counts.get("svg", 0) >= (0 if name == "plots/dvc.yaml" else 2)


def test_more_classes_than_anybody_can_read(project):
    rows = [
        {"sentence1": "a", "label": f"c{n}", "prediction": "c0", "probability": 0.9}
        for n in range(60)
    ]
    write_lines(project / "results/glue/eval_predictions.json", rows)
    page, _ = render(project)
    assert "glue: there is no confusion matrix (60 classes are more than the 40" in page.text
    assert page.counts["svg"] == 3


def test_without_git_the_page_has_no_commit(project, monkeypatch):
    monkeypatch.setattr("stages.report.content.describe", lambda folder: 1 / 0)
    page, _ = render(project)
    assert "the commit cannot be named (ZeroDivisionError: division by zero)" in page.text
