"""The evaluation that language models share: each scores tokens, in rows of its own making."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.batches import IGNORE, Batch, Batches
from stages.documents import language_metrics
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy


def token_scores(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """What evaluation adds up: `loss` in nats, `count` of scored tokens, `hits` among them.

    Args:
        logits: float32 [..., vocabulary].
        labels: int32 [...]; `IGNORE` where nothing is scored.
    """
    total, count = cross_entropy(logits, labels)
    hits = jnp.argmax(logits, axis=-1) == labels
    return {"loss": total, "count": count, "hits": jnp.sum(hits)}


def evaluate_language(
    eval_step: Callable,
    model: nnx.Module,
    batches: Batches,
    token_bytes: np.ndarray,
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics of `language_metrics`, and the sums over all rows that they are made of.

    Args:
        eval_step: gives scalars by name, those of `token_scores` among them.
        model: holds the weights.
        batches: rows; `labels` in what `prepare` makes of them.
        token_bytes: int64 [vocabulary], from `stages.documents.piece_bytes`.
        prepare: last touch to a batch, in the thread that makes them.

    Returns:
        Metrics, with `eval_samples`, the number of rows; and all that `eval_step` gives, summed,
        with the `bytes` that were scored.
    """
    totals = {"bytes": 0.0}

    def count_bytes(batch: Batch) -> Batch:
        batch = prepare(batch)
        labels = batch.arrays["labels"]
        totals["bytes"] += float(token_bytes[labels[labels != IGNORE]].sum())
        return batch

    for _, sums in run_batches(eval_step, model, batches, count_bytes):
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    metrics = language_metrics(totals["loss"], totals["count"], totals["hits"], totals["bytes"])
    return {**metrics, "eval_samples": len(batches.lengths)}, totals
