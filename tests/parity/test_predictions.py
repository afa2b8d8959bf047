"""What `stages.predict` writes with the pipeline's models, beside what PyTorch predicts with them.

Fifty rows of the test file of each task, with the models of a project in which `make repro` has
run: this one, or the one that FLAXMILL_PROJECT names. Scores may differ by `TOLERANCE`. Another
choice than PyTorch's is accepted only where PyTorch's scores of both are as near as that.
"""

import json
from itertools import islice
from pathlib import Path

import pytest
from support import scripts, small_pipeline
from support.paths import PROJECT, PROJECT_VARIABLE

pytest.importorskip("torch", reason="the comparison with PyTorch needs torch: group `parity`")

import torch
from parity.compare_predictions import COMPARE, ROWS, TOLERANCE, Comparison
from parity.torch_predictions import Folder, row_of

from stages.tasks.registry import TASKS

pytestmark = pytest.mark.parity
# Their evaluation scores the test file; --do_predict takes other lines.
LANGUAGE = ("mlm", "clm", "t5_mlm")


def model_of(task: str) -> Path:
    return PROJECT / "models" / task


def test_file(task: str) -> Path:
    return PROJECT / "data" / task / f"test{TASKS[task].suffix}"


test_file.__test__ = False


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """`predicted(task, file, *flags)`: the folder of our predictions, made once.

    In a process without the tests' XLA_FLAGS, which compile other sums.
    """
    made = {}

    def get(task: str, file: Path, *flags: str) -> Path:
        if (task, file) not in made:
            out = tmp_path_factory.mktemp(task) / "out"
            words = ["stages.predict", model_of(task), file, *flags, f"--output_dir={out}"]
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("XLA_FLAGS")
                status, said = small_pipeline.run(out.parent, *map(str, words))
            assert status == 0, said
            made[task, file] = out
        return made[task, file]

    return get


@pytest.fixture
def needs():
    """`needs(task)`: skips a test whose model or file is not there."""

    def check(task: str) -> None:
        if not (model_of(task) / "flaxmill.json").is_file() or not test_file(task).is_file():
            pytest.skip(
                f"{PROJECT} has no model or no test file of {task}: run make repro in it, or name "
                f"a project in which it has run: {PROJECT_VARIABLE}"
            )

    return check


@pytest.fixture
def scored(predicted, needs):
    """`scored(task)`: our predictions of the first rows of the test file, and their scores."""

    def get(task: str) -> Path:
        needs(task)
        split = "predict" if task == "summarization" else "eval"
        return predicted(task, test_file(task), "--score", f"--max_{split}_samples={ROWS}")

    return get


@pytest.mark.parametrize("task", TASKS)
def test_the_predictions_of_the_pipelines_model(task, scored, page):
    out, check = scored(task), Comparison()
    COMPARE[task](Folder(task, model_of(task)), test_file(task), out, check)
    print(f"{task}: {check.worst:.1e}, near ties {check.ties}")
    page.predicted(task, check.worst)


@pytest.mark.parametrize("task", TASKS)
def test_disturbed_weights_are_noticed(task, scored):
    out, folder = scored(task), Folder(task, model_of(task))
    with torch.no_grad():
        for weight in folder.model.parameters():
            if weight.ndim == 2:
                weight.mul_(1.01)
    with pytest.raises(AssertionError):
        COMPARE[task](folder, test_file(task), out, Comparison())


def test_only_a_near_tie_may_be_chosen_otherwise():
    check = Comparison()
    check.chosen([1.0, 2.0], 1)
    assert check.ties == 0
    check.chosen([2.0 - 0.5 * TOLERANCE, 2.0], 0)
    assert check.ties == 1
    for wrong in ([2.0 - 2 * TOLERANCE, 2.0], [0.0, float("nan")]):
        with pytest.raises(AssertionError):
            check.chosen(wrong, 0)


@pytest.mark.parametrize("theirs", [[1.0, 2.0 + 2 * TOLERANCE], [1.0, float("nan")], [1.0]])
def test_other_scores_are_refused(theirs):
    check = Comparison()
    check.same([1.0, 2.0], [1.0, 2.0 + 0.5 * TOLERANCE])
    assert check.worst == pytest.approx(0.5 * TOLERANCE)
    with pytest.raises(AssertionError):
        check.same([1.0, 2.0], theirs)


def lines_of(task: str, change) -> list[str]:
    """The first fifty paragraphs of the test file, changed."""
    text = test_file(task).read_text()
    if task == "clm":
        text = "\n".join(json.loads(line)["text"] for line in text.splitlines())
    paragraphs = (line.split() for line in text.splitlines() if line.strip())
    return [" ".join(change(words)) for words in islice(paragraphs, ROWS)]


@pytest.fixture
def filled(predicted, needs, tmp_path):
    """`filled(task, lines, name)`: a column of what we predict of lines with something missing."""

    def get(task: str, lines: list[str], name: str) -> list:
        file = tmp_path / "lines.txt"
        file.write_text("\n".join(lines) + "\n")
        out = predicted(task, file)
        return [row[name] for row in scripts.json_lines(out / "predictions.json")]

    return get


def test_masked_tokens(needs, filled):
    """One word of each paragraph is hidden; the five likeliest tokens are PyTorch's."""
    needs("mlm")
    folder, check = Folder("mlm", model_of("mlm")), Comparison()
    mask = folder.tokenizer.mask_token
    lines = lines_of("mlm", lambda words: [*words[:3], mask, *words[4:]])
    for line, (ours,) in zip(lines, filled("mlm", lines, "fillings"), strict=True):
        inputs = folder.tokenizer(line, return_tensors="pt")
        place = inputs["input_ids"][0].tolist().index(folder.tokenizer.mask_token_id)
        scores = folder(**inputs).logits[0, place]
        for token in folder.tokenizer.convert_tokens_to_ids(ours):
            check.chosen(scores, token)
            scores[token] = -torch.inf


def test_continuations(needs, filled):
    """Six words of each paragraph are gone on with."""
    needs("clm")
    folder, check = Folder("clm", model_of("clm")), Comparison()
    lines = lines_of("clm", lambda words: words[:6])
    for line, ours in zip(lines, filled("clm", lines, "continuation"), strict=True):
        ids = row_of([folder.tokenizer.eos_token_id, *folder.ids(line)])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        check.written(folder, inputs, ours.strip(), folder.kept["max_new_tokens"])


def test_gaps(needs, filled):
    """Two words of each paragraph are missing, and are filled in."""
    needs("t5_mlm")
    folder, check = Folder("t5_mlm", model_of("t5_mlm")), Comparison()
    first, second = folder.tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    lines = lines_of("t5_mlm", lambda words: [*words[:3], "<extra_id_0>", *words[5:]])
    for line, (ours,) in zip(lines, filled("t5_mlm", lines, "fillings"), strict=True):
        inputs = folder.tokenizer(line, return_tensors="pt")
        ids = folder.write(inputs, folder.kept["max_new_tokens"])
        assert ids[0] == first
        end = ids.index(second) if second in ids else len(ids)
        if folder.decode(ids[1:end]) != ours:
            check.greedy(folder, inputs, [first, *folder.ids(ours)])
