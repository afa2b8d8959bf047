"""Losses as a sum and the number of things summed; masked positions count in neither."""

import math

import jax
import jax.numpy as jnp

from stages.data.batching import IGNORE_INDEX


def cross_entropy(
    logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Negative log likelihood in nats, summed over the labels that are not `IGNORE_INDEX`.

    With smoothing s (Szegedy et al. 2016) the label has the weight 1 - s and each of the other
    classes s / (classes - 1). The entropy of these weights, the least possible cross entropy, is
    subtracted: a perfect prediction costs 0, as it does without smoothing.

    Args:
        logits: [..., classes]; converted to float32.
        labels: int32 [...]; `IGNORE_INDEX` where nothing is scored.
        label_smoothing: s, at least 0 and below 1.

    Returns:
        The sum and the number of scored labels, float32 scalars.
    """
    losses, scored = label_losses(logits, labels, label_smoothing)
    return jnp.sum(jnp.where(scored, losses, 0.0)), jnp.sum(scored.astype(jnp.float32))


def label_losses(
    logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """The losses that `cross_entropy` sums, float32 [...], and which it sums, bool [...]."""
    logits = logits.astype(jnp.float32)
    scored = labels != IGNORE_INDEX
    safe = jnp.where(scored, labels, 0)
    # By comparison, not by index: the gradient of a lookup is an array as large as the logits,
    # zero but for one number a row; this one is computed together with that of the softmax.
    classes = jax.lax.broadcasted_iota(safe.dtype, logits.shape, logits.ndim - 1)
    picked = jnp.sum(jnp.where(classes == safe[..., None], logits, 0.0), axis=-1)
    losses = jax.nn.logsumexp(logits, axis=-1) - picked
    if label_smoothing:
        others = logits.shape[-1] - 1
        high, low = 1 - label_smoothing, label_smoothing / others
        least = -high * math.log(high) - others * low * math.log(low)
        # `losses` gives the label the weight 1; s of it goes evenly to the other classes.
        spread = (others + 1) * picked - jnp.sum(logits, axis=-1)
        losses = losses + low * spread - least
    return losses, scored


def squared_error(
    predictions: jax.Array, targets: jax.Array, row_mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared errors summed over the rows of the mask, and their number; all of one shape."""
    return jnp.sum(row_mask * (predictions - targets) ** 2), jnp.sum(row_mask)
