"""Matrix products: as XLA makes them fastest, or alike on every processor.

XLA leaves most products to libraries, whose sums depend on the instructions and the caches that
they find. Under the settings of `stages.training.devices.compute_portably` it compiles a product
itself, if it is written in one form: the last axis of the first factor against the last but one of
the second. So the portable product has its own backward pass, in which transposed factors are
written out.
"""

from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp

# A longer sum is cut: XLA's loop reads columns of the first factor, and those of long rows push
# each other out of the cache.
DEPTH = 512

_settings = {"portable": False}


def use_portable_products(portable: bool = True) -> None:
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


def _multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    """Each element is a chain of fused multiply-adds along k, and a sum of such chains where k is
    longer than `DEPTH`."""
    cuts = [*range(DEPTH, a.shape[-1], DEPTH)]
    pieces = zip(jnp.split(a, cuts, -1), jnp.split(b, cuts, -2), strict=True)
    return reduce(add, (left @ right for left, right in pieces))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _portable(a: jax.Array, b: jax.Array, transposed: bool) -> jax.Array:
    return _multiply(a, b.mT if transposed else b)


def _forward(a: jax.Array, b: jax.Array, transposed: bool):
    return _portable(a, b, transposed), (a, b)


def _backward(transposed: bool, factors: tuple[jax.Array, jax.Array], gradient: jax.Array):
    a, b = factors
    if transposed:
        return _multiply(gradient, b), _multiply(gradient.mT, a)
    return _multiply(gradient, b.mT), _multiply(a.mT, gradient)


_portable.defvjp(_forward, _backward)
