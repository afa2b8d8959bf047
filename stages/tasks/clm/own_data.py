"""Causal language modelling on a user's text, see `stages.tasks.own_data`."""

from collections.abc import Mapping

from stages.tasks.own_data import BEATS, Plan, Sizes
from stages.tasks.own_training import new_tokenizer, schedule
from stages.tasks.text.own_data import ENDINGS, SEVERAL, describe, read

__all__ = ["ENDINGS", "MODEL", "SEVERAL", "describe", "plan", "read"]

MODEL, LENGTH = "gpt2", 128


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of a GPT-2 on blocks of tokens."""
    train = sizes["train"]
    rows = max(1, int(train.lengths.sum()) // LENGTH)
    task = {"block_size": LENGTH, "weight_decay": 0.01}
    gates = {"eval_perplexity": dict(BEATS)}
    if start is not None:
        task |= {"learning_rate": 5e-5}
        task |= schedule(rows, batch=16, epochs=3, length=LENGTH, start=start)
        return Plan(task, gates)
    config = {
        "model_type": "gpt2",
        "n_embd": 128,
        "n_layer": 4,
        "n_head": 4,
        "n_positions": 256,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": 0.06,
    }
    task |= {"learning_rate": 4e-3, "adam_beta2": 0.98}
    task |= schedule(rows, batch=16, epochs=5, length=LENGTH)
    return Plan(task, gates, new_tokenizer(train, config))
