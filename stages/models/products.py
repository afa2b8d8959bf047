"""Matrix products: as XLA makes them fastest, or alike on every processor.

XLA leaves most products to libraries, whose sums depend on the instructions and the caches that
they find. Under the settings of `stages.training.devices.compute_portably` it compiles a product
itself, if it is written in one form: the last axis of the first factor against the last but one of
the second. Each element is then a chain of fused multiply-adds, which is what the portable mode
promises. A library is faster, as it uses AVX-512, and usually it sums the same chain; so a large
product is left to it where a trial, in this very process, gave the same bytes.
"""

from collections.abc import Callable
from functools import cache, partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# A longer sum is cut: libraries cut it too, by the sizes of the caches, but none below this.
DEPTH = 256
# Multiplications from which a library gains more in a thousand steps than its trial takes, a tenth
# of a second.
LARGE = 10_000_000

_settings = {"portable": False}


def use_portable_products(portable: bool) -> None:
    """Choose how `product` computes what is traced from here on, in the whole process."""
    _settings["portable"] = portable


def product(a: jax.Array, b: jax.Array, *, transposed: bool = False) -> jax.Array:
    """`a @ b`, `[..., m, k]` by `[..., k, n]`; the axes before are the same, or there are none.

    Args:
        a: the first factor.
        b: the second one.
        transposed: `b` is `[..., n, k]`.
    """
    if _settings["portable"]:
        return _portable(a, b, transposed)
    return jnp.einsum("...mk,...nk->...mn", a, b) if transposed else a @ b


def _contract(a: jax.Array, b: jax.Array, left: int, right: int) -> jax.Array:
    """The sum over axis `left` of `a` and axis `right` of `b`, -1 or -2 each.

    Each element is a chain of fused multiply-adds along the axis, or, where that is longer than
    `DEPTH`, the sum of such chains in their order.
    """
    large = a.ndim == b.ndim == 2 and a.size * b.size // a.shape[left] >= LARGE

    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        if large and library_agrees(a.shape, b.shape, left, right):
            return _by_library(a, b, left, right)
        return _by_xla(a, b, left, right)

    return reduce(add, map(multiply, _cut(a, left), _cut(b, right)))


def _cut(factor: jax.Array, axis: int) -> list[jax.Array]:
    return jnp.split(factor, [*range(DEPTH, factor.shape[axis], DEPTH)], axis)


def _by_xla(a: jax.Array, b: jax.Array, left: int, right: int) -> jax.Array:
    """In the one form that XLA compiles itself."""
    return (a.mT if left == -2 else a) @ (b.mT if right == -1 else b)


def _by_library(a: jax.Array, b: jax.Array, left: int, right: int) -> jax.Array:
    """In any other form, of two dimensions."""
    if (left, right) == (-1, -2):
        # Behind a barrier, else XLA turns it back into the form that it compiles.
        b, right = lax.optimization_barrier(b.mT), -1
    return lax.dot_general(a, b, (((left % 2,), (right % 2,)), ((), ())))


@cache
def library_agrees(a: tuple[int, int], b: tuple[int, int], left: int, right: int) -> bool:
    """Whether the library gives the bytes of XLA's own product, on float32 of these shapes.

    Where it added in another order, most of the elements of a trial would differ. A library
    decides by shapes and by the processor, never by values: so the trial, of random ones, holds
    for all. It is of one device, a CPU.
    """
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return False
    draws = np.random.default_rng(0)
    factors = [draws.standard_normal(shape, np.float32) for shape in (a, b)]

    def computed(way: Callable) -> np.ndarray:
        # Compiled before it is called: this happens while another program is traced.
        program = jax.jit(partial(way, left=left, right=right)).lower(*factors).compile()
        return np.asarray(program(*factors))

    return np.array_equal(computed(_by_library), computed(_by_xla))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _portable(a: jax.Array, b: jax.Array, transposed: bool) -> jax.Array:
    return _contract(a, b, -1, -1 if transposed else -2)


def _forward(a: jax.Array, b: jax.Array, transposed: bool):
    return _portable(a, b, transposed), (a, b)


def _backward(transposed: bool, factors: tuple[jax.Array, jax.Array], gradient: jax.Array):
    a, b = factors
    if transposed:
        return _contract(gradient, b, -1, -2), _contract(gradient, a, -2, -2)
    return _contract(gradient, b, -1, -1), _contract(a, gradient, -2, -2)


_portable.defvjp(_forward, _backward)
