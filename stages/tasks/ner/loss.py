"""Loss of named-entity recognition, and the scores of its evaluation."""

import jax.numpy as jnp

from stages.tasks.encoders import encoder_logits
from stages.training.losses import cross_entropy


def loss(model, batch, rngs):
    """Negative log likelihood of the labelled tokens' tags, summed, and their number."""
    return cross_entropy(encoder_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """Sum of losses, number of labelled tokens, best tag of each token int32 [rows, tokens]."""
    logits = encoder_logits(model, batch)
    total, count = cross_entropy(logits, batch["labels"])
    return {"loss": total, "count": count, "tags": jnp.argmax(logits, axis=-1)}
