"""Loss of question answering, and the scores of its evaluation."""

import jax
import jax.numpy as jnp

from stages.data.batching import IGNORE_INDEX
from stages.data.packing import SEQUENCE_IDS, STARTS
from stages.tasks.encoders import encoder_logits
from stages.training.losses import cross_entropy


def span_logits(model, batch, rngs=None) -> list[jax.Array]:
    """Start and end logits, each float32 [rows, tokens]; -1e9 at padding."""
    logits = encoder_logits(model, batch, rngs)
    return [jnp.where(batch["attention_mask"] == 1, scores, -1e9) for scores in logits]


def loss(model, batch, rngs=None):
    """Mean negative log likelihood of the right start and end, summed over rows; their number."""
    sums = [
        cross_entropy(*_by_sequence(scores, batch[name], batch))
        for scores, name in zip(
            span_logits(model, batch, rngs), ("start_positions", "end_positions"), strict=True
        )
    ]
    return (sums[0][0] + sums[1][0]) / 2, sums[0][1]


def _by_sequence(scores: jax.Array, labels: jax.Array, batch) -> tuple[jax.Array, jax.Array]:
    """Scores and labels of each window; of packed ones [rows, windows, tokens] and [rows, windows].

    A window's scores are all of its row, -1e9 at other windows, its label counts from the row's
    begin.
    """
    if STARTS not in batch:
        return scores, labels
    starts = batch[STARTS]
    number = jnp.arange(1, starts.shape[1] + 1)[None, :, None]
    within = batch[SEQUENCE_IDS][:, None, :] == number
    labels = jnp.where(labels == IGNORE_INDEX, IGNORE_INDEX, starts + labels)
    return jnp.where(within, scores[:, None, :], -1e9), labels


def score(model, batch):
    """Start and end logits, each float32 [rows, tokens]."""
    start_logits, end_logits = span_logits(model, batch)
    return {"start": start_logits, "end": end_logits}
