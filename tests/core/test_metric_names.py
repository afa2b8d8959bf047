"""What a metric's name says: the direction, a count, the split."""

import pytest

from stages.core.metric_names import greater_is_better, is_count, without_split


@pytest.mark.parametrize(
    ("name", "greater"),
    [
        ("loss", False), ("eval_loss", False), ("eval_perplexity", False), ("wer", False),
        ("eval_cer", False), ("eval_bits_per_byte", False), ("eval_mse", False),
        ("eval_wer_raw", False), ("eval_cer_raw", False),
        ("eval_f1", True), ("accuracy", True), ("eval_rougeLsum", True), ("eval_answer", True),
    ],
)  # fmt: skip
def test_what_is_better_by_its_name(name, greater):
    assert greater_is_better(name) is greater


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("eval_samples", True), ("eval_refused_samples", True), ("eval_LOC_number", True),
        ("eval_HasAns_total", True), ("eval_f1", False), ("eval_subtotal", False),
    ],
)  # fmt: skip
def test_what_is_a_count_by_its_name(name, count):
    assert is_count(name) is count


def test_a_name_without_its_split():
    names = ("eval_f1", "test_rouge1", "f1", "eval", "eval_test_x")
    assert [*map(without_split, names)] == ["f1", "rouge1", "f1", "eval", "test_x"]
