"""What the page is made of: changed metrics, curves, clips, each task's worst mistakes."""

import re

import pytest
import yaml
from support.made_up_run import render, write_lines

from stages.report import figures
from stages.report.content import audio_type, mistakes_module
from stages.report.curves import curves_of, find_jumps
from stages.report.tables import changed_params, compare
from stages.tasks import registry
from stages.tasks.glue import mistakes as glue


def test_metrics_that_changed_come_first():
    rows = compare({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2.5, "d": 4}, {"usual_b": 0.5}, {})
    assert rows == [
        ("b", "0.5 (usual)", "2.5", "2", "-0.5"),
        ("c", "", "-", "3", ""),
        ("d", "", "4", "-", ""),
        ("a", "", "1", "1", "+0"),
    ]


def test_parameters_that_changed():
    ours = {"tasks": {"glue": {"seed": 1, "data": {"source": "a"}, "new": "x"}}, "seeds": {}}
    theirs = {"tasks": {"glue": {"seed": 2, "data": {"source": "a"}}}, "seeds": {"glue": [7]}}
    assert changed_params(ours, theirs) == [
        ("tasks.glue.seed", "2", "1"),
        ("tasks.glue.new", "-", "x"),
        ("seeds", "-", "{}"),
        ("seeds.glue", "[7]", "-"),
    ]
    assert changed_params(ours, ours) == []
    assert len(changed_params({"a": "x" * 9999}, {})[0][2]) == 80


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ({}, [600]),
        ({"mlm_span_start": 0}, []),
        ({"mlm_span_start": None}, []),
        ({"mlm_span_start": "soon"}, []),
        ({"mlm_span_length": 1}, []),
        ({"task": "glue"}, []),
        ({"task": "ninth"}, []),
    ],
)
def test_a_jump_that_the_recipe_makes(changed, steps):
    """Spans from step 600 on; without spans, or from the first step, there is none."""
    block = {"task": "mlm", "mlm_span_start": 600, "mlm_span_length": 2, **changed}
    found = find_jumps({"tasks": {"it": block}}, "it")
    assert [step for step, _ in found] == steps
    assert all(line.startswith("From step 600 on (dotted, mlm_span_start)") for _, line in found)
    assert figures.curve("it", ([1], [2]), None, steps=steps).count("stroke-dasharray") == len(
        steps
    )


def sizes(svg: str) -> tuple[str, str]:
    return re.search(r'<svg[^>]* width="([^"]+)"', svg)[1], re.search(r'height="([^"]+)"', svg)[1]


def test_charts_are_of_one_size():
    def matrix(count: int) -> dict:
        return {(f"class {row}", f"class {row}"): 5 for row in range(count)}

    curve = sizes(figures.curve("a", ([1, 2], [3, 4]), None))
    assert [sizes(figures.confusion(matrix(count))) == curve for count in (1, 2, 5, 6)] == [
        True, True, True, False
    ]  # fmt: skip
    assert [figures.is_large(matrix(count)) for count in (5, 6)] == [False, True]


def test_curves_skip_what_is_no_number():
    assert figures.read_curve(b"step,x\n1,2\n2,\n3,4\n", "x") == ([1, 3], [2, 4])
    assert figures.read_curve(b"step,x\n1,2\n", "y") == ([], [])


def test_a_regression_has_no_matrix_and_ranks_by_distance(tmp_path):
    write_lines(
        tmp_path / "eval_predictions.json",
        [
            {"sentence1": "a", "label": 1.0, "prediction": 1.5},
            {"sentence1": "b", "label": 1.0, "prediction": 4.0},
        ],
    )
    found = glue.find_mistakes(tmp_path, tmp_path)
    assert [one.note for one in found] == ["off by 3", "off by 0.5"]


def test_every_known_task_finds_its_mistakes():
    own = {"glue", "ner", "qa", "summarization", "speech"}
    assert own < {*registry.TASKS}
    for task in [*registry.TASKS, "ninth"]:
        general = mistakes_module({"tasks": {task: {}}}, task).__name__ == "stages.tasks.mistakes"
        assert general == (task not in own)
    assert mistakes_module({"tasks": {"ner": {}}}, "ner").__name__ == "stages.tasks.ner.mistakes"


def test_a_key_of_any_name_and_a_task_nobody_knows(project):
    """`reviews` runs glue; `ninth` is no task of the registry; `odd` cannot be judged."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["tasks"] |= {"reviews": {"task": "glue"}, "ninth": {}, "odd": None}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    write_lines(
        project / "results/reviews/eval_predictions.json",
        [{"sentence1": "bad", "label": "bad", "prediction": "good", "probability": 0.875}],
    )
    write_lines(
        project / "results/ninth/predictions.json",
        [
            {"image": "1.png", "label": 7, "prediction": 1},
            {"image": "2.png", "label": 3, "prediction": 3},
        ],
    )
    write_lines(project / "results/odd/predictions.json", [{"prediction": 1}])
    page, _ = render(project)
    assert "probability 0.875 sentence1 bad label bad prediction good" in page.text
    assert "Worst mistakes (1) image 1.png label 7 prediction 1" in page.text
    assert "No mistakes" not in page.text
    assert page.counts["svg"] == 4  # three plots and the confusion matrix of reviews


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"fLaC", "flac"), (b"OggS", "ogg"), (b"RIFF", "wav"), (b"ID3\x03", "mpeg")],
)
def test_kinds_of_clips(start, kind):
    assert audio_type(start + b"...") == f"audio/{kind}"


def test_curves_of_further_seeds(tmp_path):
    """Drawn as far as they are there, and named once."""
    for name, loss in (("glue", 3), ("glue-7", 4), ("glue-8", 5)):
        path = tmp_path / f"plots/{name}/train.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"step,loss\n1,{loss}\n")
    plots = [("plots/glue/train.csv", ["loss"])]
    (found,) = curves_of(tmp_path, None, "glue", plots, [7, 8, 9])
    assert found == ("loss, training", ([1], [3]), None, [([1], [4]), ([1], [5])])
    title, *curves = found
    assert figures.curve(title, *curves).count("further seeds") == 1
    assert "further seeds" not in figures.curve(title, *curves[:2])
