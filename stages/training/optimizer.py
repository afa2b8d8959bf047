"""AdamW or Adafactor, and the course of the learning rate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from stages.models.layers import Fixed
from stages.training.arguments import POLYNOMIAL_END

# Steps until the inverse square root has fallen to 1 / sqrt(2), where no warm-up sets it.
INVERSE_SQRT_TIMESCALE = 10_000


def make_schedule(kind: str, learning_rate: float, warmup_steps: int, steps: int) -> optax.Schedule:
    """The learning rate of each step, by the formulas of transformers' schedules.

    Args:
        kind: one of `stages.training.arguments.LR_SCHEDULES`. After the warm-up, with `r` the
            share of the steps after it that are done: `linear` is 1 - r, `cosine`
            (1 + cos(pi r)) / 2 (Loshchilov and Hutter 2017, without restarts), `polynomial` of
            power 1, which goes to 1e-7 instead of 0, `inverse_sqrt`
            sqrt(t / (t + steps since the warm-up)) with t the warm-up steps, or 10,000 without
            any; the constants stay at 1.
        learning_rate: what those are multiplied with.
        warmup_steps: steps that rise in a straight line from 0; `constant` has none.
        steps: of the whole run, where the decay ends.
    """
    decay_steps = max(steps - warmup_steps, 1)
    timescale = warmup_steps or INVERSE_SQRT_TIMESCALE
    decay = {
        "linear": optax.linear_schedule(learning_rate, 0.0, decay_steps),
        "cosine": optax.cosine_decay_schedule(learning_rate, decay_steps),
        "polynomial": optax.linear_schedule(learning_rate, POLYNOMIAL_END, decay_steps),
        "inverse_sqrt": lambda since: (
            learning_rate * jnp.sqrt(timescale / (timescale + jnp.maximum(since, 0)))
        ),
        "constant": optax.constant_schedule(learning_rate),
        "constant_with_warmup": optax.constant_schedule(learning_rate),
    }[kind]
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    return optax.join_schedules([warmup, decay], [warmup_steps])


def decay_mask(params):
    """True for matrices: biases and the scales of norms are not drawn towards zero."""
    return jax.tree.map(lambda array: array.ndim > 1, params)


def trained_or_fixed(params):
    """For each array, `"trained"`, or `"fixed"` where it belongs to a `Fixed` parameter."""

    def kind(node):
        name = "fixed" if isinstance(node, Fixed) else "trained"
        return jax.tree.map(lambda array: name, node)

    return jax.tree.map(kind, params, is_leaf=lambda node: isinstance(node, nnx.Variable))


def clip_by_global_norm(limit: float) -> optax.GradientTransformation:
    """Scale gradients down to the global norm `limit` where theirs is larger.

    As optax's transformation of that name (Pascanu et al. 2013), but one factor for all arrays,
    which goes into the operations that follow: optax's choice between two arrays does not, and
    keeps a second copy of every gradient.
    """

    def clip(gradients, params=None):
        scale = jnp.minimum(1.0, limit / optax.tree.norm(gradients))
        return jax.tree.map(lambda gradient: gradient * scale, gradients)

    return optax.stateless(clip)


def make_optimizer(args, schedule: Callable) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2019), or Adafactor (Shazeer and Stern 2018) if `adafactor`.

    Adafactor is optax's with its defaults, as the Flax example scripts of transformers had it:
    steps scaled by the root mean square of each parameter, no momentum, no weight decay, second
    moments factored where both sides have 128 or more.

    Before either, gradients are clipped to a global norm of `max_grad_norm`; where that is None,
    to 1 for AdamW and not at all for Adafactor, which clips the root mean square of each
    parameter's update to 1. `Fixed` parameters stay as they are, and have no state.
    """
    clip = args.max_grad_norm
    if args.adafactor:
        optimizer = optax.adafactor(schedule)
        clip = clip or 0.0
    else:
        optimizer = optax.adamw(
            schedule,
            b1=args.adam_beta1,
            b2=args.adam_beta2,
            eps=args.adam_epsilon,
            weight_decay=args.weight_decay,
            mask=decay_mask,
        )
        clip = 1.0 if clip is None else clip
    if clip:
        optimizer = optax.chain(clip_by_global_norm(clip), optimizer)
    return optax.partition({"trained": optimizer, "fixed": optax.set_to_zero()}, trained_or_fixed)
