"""One training step and one evaluation step, compiled once for each shape of a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class TrainState(NamedTuple):
    """What a step takes and gives back: weights, optimiser state, number of steps done."""

    params: Any
    opt_state: Any
    step: jax.Array


# (model, batch, rngs) -> (sum of losses, number of things summed), both float32 scalars.
Loss = Callable[[nnx.Module, dict[str, jax.Array], nnx.Rngs], tuple[jax.Array, jax.Array]]


def init_state(params, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(params, jax.jit(optimizer.init)(params), jnp.zeros((), jnp.int32))


def make_train_step(graphdef, loss: Loss, optimizer: optax.GradientTransformation, seed: int):
    """`step(state, batch) -> (state, total, count)`; the state given is donated.

    The gradient is that of `total / count` over the whole batch: each token (or row) weighs the
    same, however the batch is padded or spread over devices.
    """

    def step(state: TrainState, batch):
        rngs_key = jax.random.fold_in(jax.random.key(seed), state.step)

        def mean_loss(params):
            model = nnx.merge(graphdef, params)
            total, count = loss(model, batch, nnx.Rngs(dropout=rngs_key))
            return total / jnp.maximum(count, 1), (total, count)

        gradients, (total, count) = jax.grad(mean_loss, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.step + 1), total, count

    return jax.jit(step, donate_argnums=0)


def make_eval_step(model: nnx.Module, score: Callable):
    """`step(params, batch)` = `score(model with params, batch)`, without dropout."""
    graphdef = nnx.graphdef(model)
    return jax.jit(lambda params, batch: score(nnx.merge(graphdef, params), batch))
