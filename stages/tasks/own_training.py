"""Steps, lengths and new models for a user's data, see `stages.tasks.own_data`."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stages.tasks.own_data import Sizes

# Of a new encoder, and its rows with hidden words in tokens.
NEW_OPTIMIZER = {"learning_rate": 1e-3, "adam_beta2": 0.98, "weight_decay": 0.01}
MLM_LENGTH = 128
# Steps on running text before a task's own: most of what they teach comes early.
STEPS_BEFORE = 500
# Tokens of a training, so that it is over in minutes on two cores: of a new model, which is small,
# and of a checkpoint, which is some ten times as large.
MOST_TOKENS, MOST_OF_A_CHECKPOINT = 4_000_000, 800_000


def row_length(lengths: np.ndarray, most: int) -> int:
    """The tokens that hold 99 % of the rows, a multiple of 16, from 32 to `most`."""
    needed = float(np.percentile(lengths, 99))
    return int(min(most, max(32, math.ceil(needed / 16) * 16)))


def mean_length(lengths: np.ndarray, longest: int) -> int:
    """Tokens of a row, where longer rows are cut to `longest`."""
    return math.ceil(np.minimum(lengths, longest).mean())


def schedule(
    rows: int,
    *,
    batch: int,
    epochs: int,
    length: int,
    start: str | None = None,
    most: int = 2000,
) -> dict:
    """Batch, steps, warm-up, reports and evaluations for this many training rows.

    Args:
        rows: to train on.
        batch: rows of a step, fewer where there are few.
        epochs: passes over the rows.
        length: tokens of a row, of all that the model reads and writes of it.
        start: a checkpoint, or None for a new model.
        most: steps at most.
    """
    batch = min(batch, max(1, rows // 4))
    tokens = MOST_TOKENS if start is None else MOST_OF_A_CHECKPOINT
    most = min(most, tokens // (batch * length))
    steps = min(most, max(math.ceil(rows * epochs / batch), 4))
    return {
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": 32,
        "max_steps": steps,
        "warmup_steps": steps // 10,
        "logging_steps": max(1, steps // 20),
        "eval_steps": max(1, steps // 4),
        "seed": 1,
    }


def best_by(metric: str) -> dict:
    """Keep the weights of the best evaluation."""
    return {"load_best_model_at_end": True, "metric_for_best_model": metric}


def hidden_words(tokens: int, **limits) -> dict:
    """The block of `mlm` for a new model, without its data and its model.

    Args:
        tokens: of the training text.
        limits: further arguments of `schedule`.
    """
    return {
        "max_seq_length": MLM_LENGTH,
        **NEW_OPTIMIZER,
        "learning_rate": 2.5e-3,
        "train_mlm_probability": 0.25,
        **schedule(max(1, tokens // MLM_LENGTH), batch=16, epochs=12, length=MLM_LENGTH, **limits),
    }


def encoder_plan(
    sizes: Sizes, start: str | None, columns: Sequence[str], longest: int
) -> tuple[dict, dict | None]:
    """What the tasks of an encoder share: its optimiser, and a new BERT where there is none.

    Args:
        sizes: of the training rows.
        start: a checkpoint, or None.
        columns: of the training text in the task's standard form.
        longest: tokens that the model must have positions for.

    Returns:
        Keys of the task's block, and the entry of `tokenizers`.
    """
    if start is not None:
        return {"learning_rate": 1e-4, "weight_decay": 0.01}, None
    config = {
        "model_type": "bert",
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "max_position_embeddings": longest,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.08,
        "attention_init": "neighbours",
    }
    return dict(NEW_OPTIMIZER), new_tokenizer(sizes, config, columns)


def new_tokenizer(sizes: Sizes, config: Mapping, columns: Sequence[str] = (), **more) -> dict:
    """An entry of `tokenizers`, but for its text."""
    named = {"columns": list(columns)} if columns else {}
    return {"vocab_size": sizes.vocabulary, **named, **more, "config": dict(config)}
