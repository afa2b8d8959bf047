"""AdamW, Adafactor or Muon, and the learning rate schedules."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from stages.models.parameters import FrozenParam
from stages.training.optimization_arguments import POLYNOMIAL_END

# Steps until the inverse square root falls to 1 / sqrt(2), if there is no warm-up.
INVERSE_SQRT_TIMESCALE = 10_000

# Root mean square of Muon's updates, about that of AdamW's (Liu et al. 2025, arXiv:2502.16982).
MUON_RMS = 0.2
# Iterations of Newton and Schulz. After a scaling by the products of rows, "almost orthogonal",
# four do what five did (Boissin et al. 2025, arXiv:2512.04632).
MUON_ITERATIONS = 4


def make_schedule(kind: str, learning_rate: float, warmup_steps: int, steps: int) -> optax.Schedule:
    """The learning rate of each step, by the formulas of transformers' schedules.

    Args:
        kind: one of `LR_SCHEDULES` in `stages.training.optimization_arguments`. After the warm-up,
            with r the share done of the steps after it: `linear` is 1 - r; `cosine` is
            (1 + cos(pi r)) / 2 (Loshchilov and Hutter 2017, without restarts); `polynomial` has
            power 1 and ends at 1e-7 instead of 0; `inverse_sqrt` is sqrt(t / (t + steps since the
            warm-up)), with t the warm-up steps, or 10,000 without any; the constants stay at 1.
        learning_rate: the peak, by which these are multiplied.
        warmup_steps: steps of linear warm-up from 0; `constant` has none.
        steps: of the whole run; the decay ends with them.
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
    """True for matrices: biases and the scales of norms get no weight decay."""
    return jax.tree.map(lambda array: array.ndim > 1, params)


def trained_or_fixed(params):
    """`"fixed"` for each array of a `FrozenParam`, `"trained"` for all others."""

    def kind(node):
        name = "fixed" if isinstance(node, FrozenParam) else "trained"
        return jax.tree.map(lambda array: name, node)

    return jax.tree.map(kind, params, is_leaf=lambda node: isinstance(node, nnx.Variable))


def matrix_or_other(params):
    """`"matrix"` for each matrix in the layers, `"other"` for all else.

    What is else are embeddings, heads, convolutions and vectors.
    """

    def kind(path, array):
        inside = {"layers", "kernel"} <= {getattr(key, "key", None) for key in path}
        return "matrix" if inside and array.ndim == 2 else "other"

    return jax.tree_util.tree_map_with_path(kind, params)


def clip_by_global_norm(limit: float) -> optax.GradientTransformation:
    """Scale gradients down to the global norm `limit` where theirs is larger.

    As optax's transformation of that name (Pascanu et al. 2013), but with one factor for all
    arrays, which XLA fuses into the operations that follow. Optax selects between two arrays,
    which is not fused and keeps a second copy of every gradient.
    """

    def clip(gradients, params=None):
        scale = jnp.minimum(1.0, limit / optax.tree.norm(gradients))
        return jax.tree.map(lambda gradient: gradient * scale, gradients)

    return optax.stateless(clip)


def make_optimizer(
    schedule: optax.Schedule,
    *,
    adafactor: bool = False,
    muon: bool = False,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    max_grad_norm: float | None = None,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2019), or Adafactor or Muon where these are asked for.

    Adafactor (Shazeer and Stern 2018) is optax's with its defaults, as in the Flax example scripts
    of transformers: steps scaled by the root mean square of each parameter, no momentum, no weight
    decay, second moments factored where both dimensions are at least 128.

    Muon (Jordan 2024) is for the matrices in the layers; all else takes AdamW's steps, as its
    author advises. Its step is the momentum made orthogonal, by optax's iterations, and of
    about the size of AdamW's, so that one learning rate serves both.

    First, gradients are clipped to a global norm of `max_grad_norm`. If that is None, the norm is
    1, but Adafactor's are not clipped: it clips the root mean square of each parameter's update to
    1. `FrozenParam` parameters do not change, and have no state.
    """
    clip = max_grad_norm
    if adafactor:
        optimizer = optax.adafactor(schedule)
        clip = clip or 0.0
    else:
        optimizer = optax.adamw(
            schedule,
            b1=adam_beta1,
            b2=adam_beta2,
            eps=adam_epsilon,
            weight_decay=weight_decay,
            mask=decay_mask,
        )
        clip = 1.0 if clip is None else clip
    if muon:
        matrices = optax.contrib.muon(
            schedule,
            ns_steps=MUON_ITERATIONS,
            preconditioning="aol",
            consistent_rms=MUON_RMS,
            weight_decay=weight_decay,
        )
        optimizer = optax.partition({"matrix": matrices, "other": optimizer}, matrix_or_other)
    if clip:
        optimizer = optax.chain(clip_by_global_norm(clip), optimizer)
    return optax.partition({"trained": optimizer, "fixed": optax.set_to_zero()}, trained_or_fixed)
