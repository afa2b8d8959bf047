"""Span corruption on a user's text, see `stages.tasks.own_data`."""

from collections.abc import Mapping

from stages.tasks.own_data import BEATS, Plan, Sizes
from stages.tasks.own_training import schedule
from stages.tasks.seq2seq_own_data import new_t5
from stages.tasks.text.own_data import ENDINGS, SEVERAL, describe, read

__all__ = ["ENDINGS", "MODEL", "SEVERAL", "describe", "plan", "read"]

MODEL, LENGTH = "t5", 128


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of a T5 on rows with hidden spans."""
    train = sizes["train"]
    rows = max(1, int(train.lengths.sum()) // LENGTH)
    task = {"max_seq_length": LENGTH, "weight_decay": 0.01}
    gates = {"eval_accuracy": dict(BEATS)}
    if start is not None:
        task |= {"learning_rate": 3e-4}
        task |= schedule(rows, batch=16, epochs=3, length=LENGTH, start=start)
        return Plan(task, gates)
    task |= {
        "train_mlm_probability": 0.25,
        # On natural text it needs half as many steps as AdamW to get beyond frequencies.
        "muon": True,
        "learning_rate": 4e-3,
        "adam_beta2": 0.98,
        **schedule(rows, batch=16, epochs=10, length=LENGTH),
    }
    return Plan(task, gates, new_t5(train, []))
