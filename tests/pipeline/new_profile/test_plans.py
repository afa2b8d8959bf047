"""What `make new` chooses: vocabulary, steps, and what a new model is trained on first."""

from argparse import Namespace

import numpy as np
import pytest
import yaml
from support.paths import ROOT

from stages.gate.schema import parse_gates
from stages.pipeline.new_profile.__main__ import task_block
from stages.pipeline.new_profile.model import Start
from stages.pipeline.new_profile.write import write_profile
from stages.tasks.own_data import Items, Sizes, vocabulary_size
from stages.tasks.own_training import MOST_OF_A_CHECKPOINT, MOST_TOKENS, schedule
from stages.tasks.registry import load_part

# Task, and what a new model of it is trained on first.
FIRST = [("glue", "mlm"), ("ner", "mlm")]


def sizes(rows: int = 2000, length: int = 30, *, pairs: bool = False) -> dict[str, Sizes]:
    """Three splits alike, of rows of one length, with what some tasks ask for."""
    lengths = np.full(rows, length)
    facts = {"regression": False, "pairs": pairs, "negative": True}
    one = Sizes(rows, lengths, [], lengths // 4, vocabulary=1000, facts=facts)
    return dict.fromkeys(("train", "validation", "test"), one)


def words(count: int, times: int) -> list[str]:
    """`count` different words of ten letters, `times` times over."""
    return [" ".join(f"{number:010d}" for number in range(count))] * times


def test_a_vocabulary_is_as_large_as_the_text_can_teach():
    few = vocabulary_size(words(100, 1))
    small = vocabulary_size(words(6000, 1))
    large = vocabulary_size(words(6000, 40))
    huge = vocabulary_size(words(20_000, 40))
    # Room for letters; a thousand; a piece for each 1,000 bytes; never more than 4,000.
    assert (few, small, large, huge) == (2 * 11 + 300, 1000, 2639, 4000)


def test_long_rows_have_fewer_steps():
    short = schedule(10_000, batch=16, epochs=10, length=32)
    long = schedule(10_000, batch=16, epochs=10, length=320)
    assert short["max_steps"] == 2000
    assert long["max_steps"] * 16 * 320 <= MOST_TOKENS < (long["max_steps"] + 1) * 16 * 320
    assert long["warmup_steps"] < long["eval_steps"] < long["max_steps"]


@pytest.mark.parametrize("task", ["glue", "ner", "qa", "clm", "mlm", "t5_mlm", "summarization"])
@pytest.mark.parametrize(
    ("start", "most"), [(None, MOST_TOKENS), ("checkpoints/x", MOST_OF_A_CHECKPOINT)]
)
def test_a_training_reads_so_many_tokens_at_most(task, start, most):
    plan = load_part(task, "own_data").plan(sizes(50_000, 200), start)
    blocks = [plan.task, *([plan.first.block] if plan.first else [])]
    for block in blocks:
        length = sum(
            min(value, 200)
            for key, value in block.items()
            if key in ("max_seq_length", "block_size", "max_source_length", "max_target_length")
        )
        # Lengths are rounded up, to a multiple of 16.
        assert block["max_steps"] * block["per_device_train_batch_size"] * length <= 1.1 * most


@pytest.mark.parametrize(("task", "first"), FIRST)
def test_a_new_model_fills_gaps_first(task, first):
    own = load_part(task, "own_data")
    plan = own.plan(sizes(), None)
    assert plan.first.task == first
    assert plan.first.block["max_steps"] <= 500
    known = load_part(first, "own_data").plan(sizes(), None).task
    assert plan.first.block.keys() == known.keys()
    assert own.plan(sizes(), "checkpoints/x").first is None
    length = plan.first.block["max_seq_length"]
    assert plan.tokenizer["config"]["max_position_embeddings"] >= length


@pytest.mark.parametrize(("task", "first"), FIRST)
def test_the_profile_has_both_trainings(task, first, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    start = Start("new", tokenizer="small")
    options = Namespace(task=task, name="mine")
    plan = task_block(options, Items([], [], text="story"), sizes(), start)
    write_profile(tmp_path, options, plan, start, [])
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    before, after = params["tasks"].items()
    assert (before[0], after[0]) == (first, task)
    assert before[1]["data"] == {"source": "source", "text_column_name": "story"}
    assert (before[1]["model_name_or_path"], before[1]["from_scratch"]) == (
        "models/start/small", True
    )  # fmt: skip
    assert after[1]["model_name_or_path"] == f"models/{first}"
    assert "from_scratch" not in after[1]
    gates = parse_gates(params)
    assert list(gates.held) == [first, task]
    assert not gates.bad


def test_a_pair_is_two_segments_of_what_is_read_first():
    own = load_part("glue", "own_data")
    assert "alternate_segments" not in own.plan(sizes(), None).first.block
    assert own.plan(sizes(pairs=True), None).first.block["alternate_segments"] is True


def test_a_new_tagger_weighs_names_more():
    own = load_part("ner", "own_data")
    assert own.plan(sizes(), None).task["label_all_tokens"] is True
    assert "label_all_tokens" not in own.plan(sizes(), "checkpoints/x").task


def test_a_new_model_writes_summaries_as_t5_did():
    """A checkpoint has settings of its own; a new one would repeat itself."""
    own = load_part("summarization", "own_data")
    searched = {"num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
    new, checkpoint = (own.plan(sizes(), start).task for start in (None, "checkpoints/x"))
    assert searched.items() <= new.items()
    assert not searched.keys() & checkpoint.keys()
