"""AdamW with the learning rate of the reference commands."""

import jax
import optax


def linear_schedule(learning_rate: float, warmup_steps: int, steps: int) -> optax.Schedule:
    """From 0 to `learning_rate` in `warmup_steps`, then straight down to 0 at `steps`."""
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    decay = optax.linear_schedule(learning_rate, 0.0, max(steps - warmup_steps, 1))
    return optax.join_schedules([warmup, decay], [warmup_steps])


def decay_mask(params):
    """True for matrices: biases and the scales of norms are not drawn towards zero."""
    return jax.tree.map(lambda array: array.ndim > 1, params)


def make_optimizer(args, schedule: optax.Schedule) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2019), gradients clipped to `max_grad_norm` before it."""
    adamw = optax.adamw(
        schedule,
        b1=args.adam_beta1,
        b2=args.adam_beta2,
        eps=args.adam_epsilon,
        weight_decay=args.weight_decay,
        mask=decay_mask,
    )
    if args.max_grad_norm == 0:
        return adamw
    return optax.chain(optax.clip_by_global_norm(args.max_grad_norm), adamw)
