"""One training step and one evaluation step, compiled once for each shape of a batch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from stages.core.malloc import release_freed_memory
from stages.core.progress import doing
from stages.models.dropout import dropout_key
from stages.models.precision import cast


class TrainState(NamedTuple):
    """What a step takes and returns: weights, optimiser state, number of steps done (int32)."""

    params: Any
    opt_state: Any
    step: jax.Array


# XLA's default on CPU orders the operations for concurrency, not for memory: what a layer under
# remat computes a second time would then be computed at once and kept. Two cores find enough to
# do within each operation. Other backends have their own orders and do not read this.
LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}

# (model, batch, rngs) -> (sum of losses, number of things summed), both float32 scalars.
Loss = Callable[[nnx.Module, dict[str, jax.Array], nnx.Rngs], tuple[jax.Array, jax.Array]]
# (params, batch, key) -> the same two scalars.
BoundLoss = Callable[[Any, dict[str, jax.Array], jax.Array], tuple[jax.Array, jax.Array]]


class TrainStep:
    """`step(state, batch) -> (state, total, count)`; the state given is donated.

    The gradient is that of `total / count` over the whole batch: each token (or row) weighs the
    same, however the batch is padded, split into parts or spread over devices.

    Two programs, one after the other: the gradients, compiled for each shape of a batch, and the
    optimiser's update, which knows no batch and is compiled once. As one program both would be
    compiled for each shape, in more than their time together.

    Args:
        graphdef: of the model; its parameters are float32.
        loss: see `Loss`.
        optimizer: gets float32 gradients.
        seed: of dropout, together with the number of the step (and of the part of the batch).
        dtype: what the parameters are cast to before the loss; their gradients come back float32.
        accumulation: above 1, every array of `batch` has this many parts in front,
            `[accumulation, rows, ...]`; see `accumulated_gradients`.
    """

    def __init__(
        self,
        graphdef,
        loss: Loss,
        optimizer: optax.GradientTransformation,
        seed: int,
        *,
        dtype: str = "float32",
        accumulation: int = 1,
    ):
        gradients = batch_gradients if accumulation == 1 else accumulated_gradients
        gradients = partial(gradients, partial(apply_loss, graphdef, loss, dtype))
        self._differentiate = jax.jit(
            partial(differentiate, gradients),
            donate_argnums=4,
            keep_unused=True,
            compiler_options=LEAST_MEMORY,
        )
        self._update = jax.jit(
            partial(update, optimizer), donate_argnums=0, compiler_options=LEAST_MEMORY
        )
        self._begin = partial(initial_state, optimizer)
        # One program each: array by array, each shape would be compiled by itself.
        self._init = jax.jit(self._begin)
        self._zeros = jax.jit(zeros_like)
        # An argument, not a constant of the program: a run with another seed finds it compiled.
        self._seed = np.uint32(seed % 2**32)
        self._gradients: dict[tuple, Callable] = {}
        self._spent = None

    def init(self, params) -> TrainState:
        """The state before the first step, on the devices of `params`."""
        return TrainState(params, *self._init(params))

    def shapes(self, params) -> TrainState:
        """The state of these parameters as `jax.ShapeDtypeStruct`s."""
        return jax.eval_shape(lambda params: TrainState(params, *self._begin(params)), params)

    def compile(self, params, batch) -> None:
        """Compile what a batch of this shape needs, before there is a state.

        The compiler's own memory then comes before the state's, not on top of it. While it works
        on the gradients, in a thread and without Python's lock, the rest is traced and compiled.
        """
        sharding = jax.tree.leaves(params)[0].sharding
        abstract = partial(jax.ShapeDtypeStruct, sharding=sharding)
        state = jax.tree.map(lambda array: abstract(array.shape, array.dtype), self.shapes(params))
        with doing("compiling"), ThreadPoolExecutor(1) as thread:
            gradients = thread.submit(self._lower_gradients(state, batch).compile)
            self._update = self._update.lower(state, state.params).compile()
            self._init = self._init.lower(state.params).compile()
            self._zeros = self._zeros.lower(state.params).compile()
            self._gradients[batch_shapes(batch)] = gradients.result()
        release_freed_memory()

    def _lower_gradients(self, state: TrainState, batch):
        return self._differentiate.lower(state.params, state.step, batch, self._seed, state.params)

    def __call__(self, state: TrainState, batch) -> tuple[TrainState, jax.Array, jax.Array]:
        """Take one step; sum of losses and count are of the weights before it."""
        gradients = self._gradients.get(batch_shapes(batch))
        if gradients is None:
            self.release()
            release_freed_memory()
            with doing("compiling"):
                gradients = self._lower_gradients(state, batch).compile()
            self._gradients[batch_shapes(batch)] = gradients
            release_freed_memory()
        if self._spent is None:
            self._spent = self._zeros(state.params)
        arguments = (state.params, state.step, batch, self._seed, self._spent)
        self._spent, total, count = gradients(*arguments)
        return self._update(state, self._spent), total, count

    def release(self) -> None:
        """Free the memory of the last gradients, until the next step.

        An evaluation, or the compiler, then does not take its own on top of it.
        """
        self._spent = None

    @property
    def compilations(self) -> int:
        """For how many shapes of a batch the gradients were compiled."""
        return len(self._gradients)


def batch_shapes(batch: dict) -> tuple:
    """Names and shapes of a batch's arrays, by which programs are compiled."""
    return tuple((name, array.shape) for name, array in batch.items())


# What `TrainStep` compiles, from the loss outwards.


def apply_loss(graphdef, loss: Loss, dtype: str, params, batch, key):
    """Sum of losses and count of one batch, with the parameters cast to `dtype`."""
    return loss(nnx.merge(graphdef, cast(params, dtype)), batch, nnx.Rngs(dropout=key))


def summed_loss(loss: BoundLoss, params, batch, key):
    """The sum of losses, and as auxiliary output sum and count."""
    total, count = loss(params, batch, key)
    return total, (total, count)


def mean_loss(loss: BoundLoss, params, batch, key):
    """The mean loss, and as auxiliary output sum and count."""
    total, count = loss(params, batch, key)
    return total / jnp.maximum(count, 1), (total, count)


def batch_gradients(loss: BoundLoss, params, batch, key):
    """Gradients of the mean loss, sum of losses and count of one batch."""
    gradients, sums = jax.grad(partial(mean_loss, loss), has_aux=True)(params, batch, key)
    return gradients, *sums


def accumulated_gradients(loss: BoundLoss, params, batch, key):
    """As `batch_gradients`, with the arrays of `batch` in parts, `[parts, rows, ...]`.

    One part after the other goes through the model; their sums are added up and divided once.
    Parts at the end that hold no row are left out.
    """
    nothing = jnp.zeros((), jnp.float32)
    sums = (zeros_like(params), nothing, nothing)
    parts = jnp.sum(jnp.any(batch["row_mask"] > 0, axis=1))
    add = partial(add_part, loss, params, batch, key)
    gradients, total, count = jax.lax.fori_loop(0, parts, add, sums)
    return jax.tree.map(lambda sum_: sum_ / jnp.maximum(count, 1), gradients), total, count


def add_part(loss: BoundLoss, params, batch, key, number, sums):
    """`sums` (gradients of the sum of losses, that sum, count) plus those of part `number`."""
    part = jax.tree.map(lambda array: array[number], batch)
    key = jax.random.fold_in(key, number)
    gradients, more = jax.grad(partial(summed_loss, loss), has_aux=True)(params, part, key)
    return jax.tree.map(jnp.add, sums, (gradients, *more))


def differentiate(gradients: Callable, params, number, batch, seed, spent):
    """The gradients of step `number`, with a dropout key drawn from seed and step.

    `spent` are the last step's gradients: donated, so that these are written in their memory.
    """
    del spent
    return gradients(params, batch, jax.random.fold_in(dropout_key(seed), number))


def update(optimizer: optax.GradientTransformation, state: TrainState, gradients) -> TrainState:
    """The state after one update by the optimiser."""
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1)


def initial_state(optimizer: optax.GradientTransformation, params):
    """The optimiser's state before the first step, and the number 0."""
    return optimizer.init(params), jnp.zeros((), jnp.int32)


def zeros_like(tree):
    """Zeros of the shapes and dtypes of `tree`."""
    return jax.tree.map(jnp.zeros_like, tree)


def make_eval_step(model: nnx.Module, score: Callable):
    """`step(params, batch)` = `score(model with params, batch)`, without dropout.

    It computes in the dtype of the parameters that it is given; `run_batches` casts them.
    """
    graphdef = nnx.graphdef(model)
    return jax.jit(lambda params, batch: score(nnx.merge(graphdef, params), batch))
