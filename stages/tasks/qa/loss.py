"""Loss of question answering, and the scores of its evaluation."""

import jax
import jax.numpy as jnp

from stages.tasks.encoders import encoder_logits
from stages.training.losses import cross_entropy


def span_logits(model, batch, rngs=None) -> list[jax.Array]:
    """Start and end logits, each float32 [rows, tokens]; -1e9 at padding."""
    logits = encoder_logits(model, batch, rngs)
    return [jnp.where(batch["attention_mask"] == 1, scores, -1e9) for scores in logits]


def loss(model, batch, rngs=None):
    """Mean negative log likelihood of the right start and end, summed over rows; their number."""
    sums = [
        cross_entropy(scores, batch[name])
        for scores, name in zip(
            span_logits(model, batch, rngs), ("start_positions", "end_positions"), strict=True
        )
    ]
    return (sums[0][0] + sums[1][0]) / 2, sums[0][1]


def score(model, batch):
    """Start and end logits, each float32 [rows, tokens]."""
    start_logits, end_logits = span_logits(model, batch)
    return {"start": start_logits, "end": end_logits}
