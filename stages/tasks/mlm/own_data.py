"""Masked language modelling on a user's text, see `stages.tasks.own_data`."""

from collections.abc import Mapping

from stages.tasks.own_data import BEATS, Plan, Sizes
from stages.tasks.own_training import MLM_LENGTH, encoder_plan, hidden_words, schedule
from stages.tasks.text.own_data import ENDINGS, SEVERAL, describe, read

__all__ = ["ENDINGS", "MODEL", "SEVERAL", "describe", "plan", "read"]

MODEL = "bert"


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of an encoder on rows of whole documents."""
    train = sizes["train"]
    shared, tokenizer = encoder_plan(train, start, [], MLM_LENGTH)
    gates = {"eval_perplexity": dict(BEATS)}
    size = int(train.lengths.sum())
    if start is None:
        return Plan(hidden_words(size), gates, tokenizer)
    rows = max(1, size // MLM_LENGTH)
    steps = schedule(rows, batch=16, epochs=3, length=MLM_LENGTH, start=start)
    return Plan({"max_seq_length": MLM_LENGTH, **shared, **steps}, gates)
