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

from stages.core.malloc import give_back_freed_memory
from stages.models.dropout import dropout_key
from stages.models.precision import cast


class TrainState(NamedTuple):
    """What a step takes and gives back: weights, optimiser state, number of steps done."""

    params: Any
    opt_state: Any
    step: jax.Array


# XLA's default on CPU orders the operations for concurrency, not for memory: what a checkpointed
# layer computes anew would then be computed at once and kept. Two cores find enough to do within
# each operation. Other backends have orders of their own and do not read this.
LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}

# (model, batch, rngs) -> (sum of losses, number of things summed), both float32 scalars.
Loss = Callable[[nnx.Module, dict[str, jax.Array], nnx.Rngs], tuple[jax.Array, jax.Array]]


class TrainStep:
    """`step(state, batch) -> (state, total, count)`; the state given is donated.

    The gradient is that of `total / count` over the whole batch: each token (or row) weighs the
    same, however the batch is padded, parted or spread over devices.

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
            `[accumulation, rows, ...]`. One part after the other goes through the model, their
            sums are added up and divided once. Parts at the end that hold no row are left out.
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

        find = whole if accumulation == 1 else in_parts

        def differentiate(params, number, batch, seed, spent):
            del spent  # the last step's gradients, in whose memory these are written
            return find(params, batch, jax.random.fold_in(dropout_key(seed), number))

        def update(state: TrainState, gradients):
            updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
            return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1)

        self._differentiate = jax.jit(
            differentiate, donate_argnums=4, keep_unused=True, compiler_options=LEAST_MEMORY
        )
        self._update = jax.jit(update, donate_argnums=0, compiler_options=LEAST_MEMORY)
        # One program each: array by array, each shape would be compiled by itself.
        self._begin = lambda params: (optimizer.init(params), jnp.zeros((), jnp.int32))
        self._init = jax.jit(self._begin)
        self._zeros = jax.jit(lambda params: jax.tree.map(jnp.zeros_like, params))
        # An argument, not a constant of the program: a run with another seed finds it compiled.
        self._seed = np.uint32(seed % 2**32)
        self._gradients: dict[tuple, Callable] = {}
        self._spent = None

    def init(self, params) -> TrainState:
        """The state before the first step, placed as `params` are."""
        return TrainState(params, *self._init(params))

    def shapes(self, params) -> TrainState:
        """The state of these parameters, shapes and dtypes in place of arrays."""
        return jax.eval_shape(lambda params: TrainState(params, *self._begin(params)), params)

    def compile(self, params, batch) -> None:
        """Compile what a batch of this shape needs, before there is a state.

        The compiler's own memory then comes before the state's, not on top of it. While it works
        on the gradients, in a thread and without Python's lock, the rest is traced and compiled.
        """
        sharding = jax.tree.leaves(params)[0].sharding
        place = partial(jax.ShapeDtypeStruct, sharding=sharding)
        state = jax.tree.map(lambda array: place(array.shape, array.dtype), self.shapes(params))
        with ThreadPoolExecutor(1) as thread:
            gradients = thread.submit(self._lower_gradients(state, batch).compile)
            self._update = self._update.lower(state, state.params).compile()
            self._init = self._init.lower(state.params).compile()
            self._zeros = self._zeros.lower(state.params).compile()
            self._gradients[_shapes(batch)] = gradients.result()
        give_back_freed_memory()

    def _lower_gradients(self, state: TrainState, batch):
        return self._differentiate.lower(state.params, state.step, batch, self._seed, state.params)

    def __call__(self, state: TrainState, batch) -> tuple[TrainState, jax.Array, jax.Array]:
        """Take one step; sum of losses and count are of the weights before it."""
        gradients = self._gradients.get(_shapes(batch))
        if gradients is None:
            self.release()
            give_back_freed_memory()
            gradients = self._lower_gradients(state, batch).compile()
            self._gradients[_shapes(batch)] = gradients
            give_back_freed_memory()
        if self._spent is None:
            self._spent = self._zeros(state.params)
        arguments = (state.params, state.step, batch, self._seed, self._spent)
        self._spent, total, count = gradients(*arguments)
        return self._update(state, self._spent), total, count

    def release(self) -> None:
        """Give up the memory of the last gradients, until the next step.

        An evaluation, or the compiler, then does not take its own on top of it.
        """
        self._spent = None

    @property
    def compilations(self) -> int:
        """For how many shapes of a batch the gradients were compiled."""
        return len(self._gradients)


def _shapes(batch: dict) -> tuple:
    return tuple((name, array.shape) for name, array in batch.items())


def make_eval_step(model: nnx.Module, score: Callable):
    """`step(params, batch)` = `score(model with params, batch)`, without dropout.

    It computes in the dtype of the parameters that it is given; `run_batches` casts them.
    """
    graphdef = nnx.graphdef(model)
    return jax.jit(lambda params, batch: score(nnx.merge(graphdef, params), batch))
