"""One training step and one evaluation step, compiled once for each shape of a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from stages.training.precision import cast


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


def make_train_step(
    graphdef,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    seed: int,
    *,
    dtype: str = "float32",
    accumulation: int = 1,
):
    """`step(state, batch) -> (state, total, count)`; the state given is donated.

    The gradient is that of `total / count` over the whole batch: each token (or row) weighs the
    same, however the batch is padded, parted or spread over devices.

    Args:
        graphdef: of the model; its parameters are float32.
        loss: see `Loss`.
        optimizer: gets float32 gradients.
        seed: of dropout, together with the number of the step (and of the part of the batch).
        dtype: what the parameters are cast to before the loss; their gradients come back float32.
        accumulation: above 1, every array of `batch` has this many parts in front,
            `[accumulation, rows, ...]`. One part after the other goes through the model, their
            sums are added up and divided once. Parts at the end that hold no row are left out.
    """

    def gradients_and_sums(params, batch, key, divide: Callable):
        def objective(params):
            model = nnx.merge(graphdef, cast(params, dtype))
            total, count = loss(model, batch, nnx.Rngs(dropout=key))
            return divide(total, count), (total, count)

        gradients, sums = jax.grad(objective, has_aux=True)(params)
        return gradients, *sums

    def whole(params, batch, key):
        return gradients_and_sums(
            params, batch, key, lambda total, count: total / jnp.maximum(count, 1)
        )

    def in_parts(params, batch, key):
        def add(number, sums):
            part = jax.tree.map(lambda array: array[number], batch)
            more = gradients_and_sums(
                params, part, jax.random.fold_in(key, number), lambda total, count: total
            )
            return jax.tree.map(jnp.add, sums, more)

        nothing = jnp.zeros((), jnp.float32)
        sums = (jax.tree.map(jnp.zeros_like, params), nothing, nothing)
        parts = jnp.sum(jnp.any(batch["row_mask"] > 0, axis=1))
        gradients, total, count = jax.lax.fori_loop(0, parts, add, sums)
        return jax.tree.map(lambda sum_: sum_ / jnp.maximum(count, 1), gradients), total, count

    def step(state: TrainState, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        find = whole if accumulation == 1 else in_parts
        gradients, total, count = find(state.params, batch, key)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.step + 1), total, count

    return jax.jit(step, donate_argnums=0)


def make_eval_step(model: nnx.Module, score: Callable):
    """`step(params, batch)` = `score(model with params, batch)`, without dropout.

    It computes in the dtype of the parameters that it is given; `run_batches` casts them.
    """
    graphdef = nnx.graphdef(model)
    return jax.jit(lambda params, batch: score(nnx.merge(graphdef, params), batch))
