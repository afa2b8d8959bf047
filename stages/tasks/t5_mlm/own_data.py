"""Span corruption on a user's text, see `stages.tasks.own_data`."""

from collections.abc import Mapping

from stages.tasks.own_data import BEATS, Plan, Sizes
from stages.tasks.own_training import schedule
from stages.tasks.seq2seq_own_data import LENGTH, hidden_spans, new_t5
from stages.tasks.text.own_data import ENDINGS, SEVERAL, describe, read

__all__ = ["ENDINGS", "MODEL", "SEVERAL", "describe", "plan", "read"]

MODEL = "t5"


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of a T5 on rows with hidden spans."""
    train = sizes["train"]
    gates = {"eval_accuracy": dict(BEATS)}
    if start is None:
        return Plan(hidden_spans(int(train.lengths.sum())), gates, new_t5(train, []))
    rows = max(1, int(train.lengths.sum()) // LENGTH)
    task = {
        "max_seq_length": LENGTH,
        "weight_decay": 0.01,
        "learning_rate": 3e-4,
        **schedule(rows, batch=16, epochs=3, length=LENGTH, start=start),
    }
    return Plan(task, gates)
