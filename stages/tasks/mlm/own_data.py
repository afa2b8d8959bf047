"""Masked language modelling on a user's text, see `stages.tasks.own_data`."""

from collections.abc import Mapping

from stages.tasks.own_data import BEATS, Plan, Sizes, encoder_plan, schedule
from stages.tasks.text.own_data import ENDINGS, SEVERAL, describe, read

__all__ = ["ENDINGS", "MODEL", "SEVERAL", "describe", "plan", "read"]

MODEL, LENGTH = "bert", 128


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of an encoder on rows of whole documents."""
    train = sizes["train"]
    shared, tokenizer = encoder_plan(train, start, [], LENGTH)
    rows = max(1, int(train.lengths.sum()) // LENGTH)
    task = {"max_seq_length": LENGTH, **shared}
    if start is None:
        task |= {"learning_rate": 2.5e-3, "train_mlm_probability": 0.25}
    task |= schedule(rows, batch=16, epochs=12 if start is None else 3, length=LENGTH)
    return Plan(task, {"eval_perplexity": dict(BEATS)}, tokenizer)
