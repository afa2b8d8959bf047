"""The worst mistakes, out of predictions that are read row by row."""

import json
import random

import pytest
from support.made_up_run import write_lines, write_results

from stages.core.errors import InputError
from stages.core.files import write_json
from stages.tasks import mistakes
from stages.tasks.glue import mistakes as glue
from stages.tasks.mistakes import SHOWN, Mistake, find_mistakes, read_entries, worst
from stages.tasks.qa import mistakes as qa
from stages.tasks.speech import mistakes as speech


@pytest.mark.parametrize("seed", range(20))
def test_of_equals_the_first_come_first(seed):
    rng = random.Random(seed)
    ranked = [
        (rng.choice([0.0, 0.5, 1, 1.0, 2]), Mistake([], str(n))) for n in range(rng.randrange(40))
    ]
    expected = sorted(ranked, key=lambda pair: -pair[0])[:SHOWN]
    assert worst(iter(ranked)) == [one for _, one in expected]


def test_rows_without_a_loss_keep_the_order_of_the_files(tmp_path):
    for name, first in (("eval_predictions.json", 0), ("predictions.json", 5)):
        write_lines(
            tmp_path / name, [{"label": n, "prediction": -1} for n in range(first, first + 5)]
        )
    found = find_mistakes(tmp_path, tmp_path)
    assert [one.parts[0] for one in found] == [("label", str(n)) for n in range(SHOWN)]


def test_rows_that_are_right_are_judged_and_others_are_not(tmp_path):
    path = tmp_path / "predictions.json"
    write_lines(path, [{"label": 1, "prediction": 1}])
    assert find_mistakes(tmp_path, tmp_path) == []
    write_lines(path, [{"prediction": 1}])
    assert find_mistakes(tmp_path, tmp_path) is None


def test_clips_with_equal_rates_are_in_the_order_of_their_names(tmp_path):
    rows = [{"path": f"{n % 10}", "text": "a b", "prediction": f"a c{n}"} for n in (9, 3, 1, 5)]
    write_lines(tmp_path / "eval_predictions.json", rows)
    found = speech.find_mistakes(tmp_path, tmp_path)
    assert [one.parts[1][1] for one in found] == ["a c1", "a c3", "a c5", "a c9"]


def test_classes_are_counted(tmp_path):
    row = {"sentence1": "a", "label": "x", "prediction": "y", "probability": 0.5}
    write_lines(tmp_path / "eval_predictions.json", [row, row, {**row, "prediction": "x"}])
    assert glue.read_classes(tmp_path) == {("x", "y"): 2, ("x", "x"): 1}
    write_lines(tmp_path / "eval_predictions.json", [])
    assert glue.read_classes(tmp_path) is None


ENTRIES = {
    "a": 12345,
    "b\n": [{"text": 'a "quoted", {b}', "probability": 0.25}] * 3,
    'c"': "x" * 50,
    "": {},
    "e": -1.5e-7,
}


@pytest.mark.parametrize("piece", [7, 64, 1 << 16])
@pytest.mark.parametrize("content", [{}, ENTRIES])
@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_object_is_read_entry_by_entry(tmp_path, monkeypatch, piece, content, indent):
    monkeypatch.setattr(mistakes, "_PIECE", piece)
    path = tmp_path / "a.json"
    path.write_text("\n " + json.dumps(content, indent=indent) + "\n")
    assert list(read_entries(path)) == list(content.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "{",
        '{"a"',
        '{"a": ',
        '{"a": 1',
        '{"a": 1,',
        "{1: 2}",
        '{"a" 1}',
        "{} 1",
        '{"a": 1} {}',
    ],
)
def test_what_is_no_whole_object_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: .*; run make repro"):
        list(read_entries(tmp_path / "a.json"))


def test_answers_to_other_questions(tmp_path):
    write_results(tmp_path)
    results, data = tmp_path / "results/qa", tmp_path / "data/qa"
    assert len(qa.find_mistakes(results, data)) == 1
    texts = dict(read_entries(results / "eval_predictions.json"))
    write_json(results / "eval_predictions.json", dict(reversed(texts.items())))
    with pytest.raises(InputError, match="predictions of other questions"):
        qa.find_mistakes(results, data)
