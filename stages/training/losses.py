"""Losses as a sum and what it is a sum over; masked positions count in neither."""

import jax
import jax.numpy as jnp

from stages.batches import IGNORE


def cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Negative log likelihood in nats, summed over the labels that are not `IGNORE`.

    Args:
        logits: float32 [..., classes].
        labels: int32 [...]; `IGNORE` where nothing is scored.

    Returns:
        The sum and the number of scored labels, float32 scalars.
    """
    scored = labels != IGNORE
    safe = jnp.where(scored, labels, 0)
    picked = jnp.take_along_axis(logits, safe[..., None], axis=-1)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - picked
    return jnp.sum(jnp.where(scored, losses, 0.0)), jnp.sum(scored.astype(jnp.float32))


def squared_error(
    predictions: jax.Array, targets: jax.Array, row_mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared errors summed over the rows of the mask; all float32 [rows]."""
    return jnp.sum(row_mask * (predictions - targets) ** 2), jnp.sum(row_mask)
