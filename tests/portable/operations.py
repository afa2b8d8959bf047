"""What single operations give on this processor: `python operations.py [FAMILY...]` prints JSON.

{family: {case: digest of the result's bytes}}. `measure.py` runs it on several processors. Each
case is compiled by itself, from arguments that NumPy draws from the case's name.
"""

import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.scipy.special import erf, logsumexp

# Columns that Eigen takes at once on every processor, and the longest sum that no cache cuts.
COLUMNS, DEPTH = 64, 512

Case = tuple[str, Callable[[], object]]


def draw(name: str, *shape: int) -> np.ndarray:
    """Standard normal float32 values that follow from the name."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)


def digest(result) -> str:
    """Of the bytes of all arrays in it."""
    found = hashlib.sha256()
    for array in jax.tree.leaves(result):
        found.update(np.asarray(array).tobytes())
    return found.hexdigest()[:16]


def whole_columns(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a @ b` of which nothing but the shapes decides the order of the sums.

    Columns of zeros fill `b` up to a multiple of 64, and the sums are cut into pieces of 512 that
    are added in order.
    """
    columns = b.shape[-1]
    b = jnp.pad(b, [(0, 0)] * (b.ndim - 1) + [(0, -columns % COLUMNS)])
    cuts = [*range(DEPTH, a.shape[-1], DEPTH)]
    pieces = zip(jnp.split(a, cuts, -1), jnp.split(b, cuts, -2), strict=True)
    first, *others = (left @ right for left, right in pieces)
    return sum(others, start=first)[..., :columns]


def with_gradients(product: Callable, a: np.ndarray, b: np.ndarray) -> Case:
    """A product and the two products of its backward pass, from a gradient of its size."""

    def both(a, b):
        y = product(a, b)
        gradient = jnp.tanh(y)
        return y, product(gradient, b.mT), product(a.mT, gradient)

    return partial(jax.jit(both), a, b)


# Rows, inner, columns of linear layers: small and large models, and heads of few and many classes.
LAYERS = (
    *((600, 128, 128), (600, 256, 128), (100, 768, 192), (520, 128, 1000), (600, 128, 2)),
    *((1100, 128, 9), (16, 128, 3), (1, 128, 1000), (100, 240, 64), (33, 17, 5)),
)
# Batch, heads, length, size of a head.
ATTENTIONS = (
    *((2, 4, length, 32) for length in (16, 48, 80, 96, 128)),
    *((1, 2, 384, 64), (3, 2, 50, 20)),
)


def products(multiply: Callable) -> Iterator[Case]:
    """Layers and attentions, forward and backward."""
    for rows, inner, columns in LAYERS:
        name = f"[{rows}, {inner}] x [{inner}, {columns}]"
        yield name, with_gradients(multiply, draw(name, rows, inner), draw("b", inner, columns))
    for *batch, length, size in ATTENTIONS:
        name = f"{batch} x [{length}, {size}]"
        query, key = draw(name, *batch, length, size), draw("key" + name, *batch, length, size)
        weights = draw("weights" + name, *batch, length, length)
        yield f"scores {name}", with_gradients(multiply, query, np.swapaxes(key, -1, -2))
        yield f"values {name}", with_gradients(multiply, weights, key)


def plain_products(fits: bool) -> Iterator[Case]:
    """One product each, as XLA gives it, of shapes that keep the rule or do not."""
    for rows in (1, 16, 48, 100):
        for inner in (32, 512) if fits else (32, 1024):
            for columns in (2, 32, 64, 96, 128, 1000):
                if (columns % COLUMNS == 0 and inner <= DEPTH) is not fits:
                    continue
                name = f"[{rows}, {inner}] x [{inner}, {columns}]"
                a, b = draw(name, rows, inner), draw("b", inner, columns)
                yield name, partial(jax.jit(jnp.matmul), a, b)


def sums() -> Iterator[Case]:
    """Sums over one axis and several, means, norms and what is made of them."""
    square, deep = draw("square", 333, 128), draw("deep", 16, 9, 33, 40)
    functions = {
        "of each row": lambda x: x.sum(-1),
        "of each column": lambda x: x.sum(0),
        "of all": jnp.sum,
        "of squares": lambda x: jnp.sqrt(jnp.sum(x * x)),
        "mean and variance": lambda x: (x.mean(-1), jnp.square(x).mean(-1)),
        "running": lambda x: jnp.cumsum(x, -1),
        "logsumexp": lambda x: logsumexp(x, axis=-1),
        "softmax": lambda x: jax.nn.softmax(x, axis=-1),
    }
    for name, function in functions.items():
        yield name, partial(jax.jit(function), square)
    for axes in ((0, 2), (0, 1, 3), (1, 2)):
        yield f"over axes {axes}", partial(jax.jit(partial(jnp.sum, axis=axes)), deep)


def functions() -> Iterator[Case]:
    """Element by element."""
    x = draw("functions", 200, 130)
    found = (jnp.exp, jnp.tanh, erf, jax.nn.gelu, jax.nn.silu, jnp.sin, jnp.cos, jax.nn.sigmoid)
    for function in found:
        yield function.__name__, partial(jax.jit(function), x)
    positive = np.abs(x) + np.float32(1e-3)
    for function in (jnp.log, jnp.log1p, jnp.sqrt, jax.lax.rsqrt, jnp.reciprocal):
        yield function.__name__, partial(jax.jit(function), positive)


def orders() -> Iterator[Case]:
    """What picks, sorts and draws."""
    table, ids = draw("table", 1000, 64), np.arange(3000) * 7 % 1000
    yield (
        "gradient of a lookup",
        partial(jax.jit(lambda t, i: jnp.zeros_like(t).at[i].add(1.1 * t[i])), table, ids),
    )
    yield "sort", partial(jax.jit(jnp.sort), table)
    yield "top_k", partial(jax.jit(lambda x: jax.lax.top_k(x, 8)), table)
    yield "argmax", partial(jax.jit(lambda x: x.argmax(-1)), table)
    for name in ("normal", "uniform", "gumbel", "truncated_normal"):
        draws = getattr(jax.random, name)
        bounds = (-2.0, 2.0) if name == "truncated_normal" else ()
        yield f"random.{name}", partial(draws, jax.random.key(7), *bounds, shape=(50, 50))
    yield "random.permutation", partial(jax.random.permutation, jax.random.key(7), 1000)


def numpy_functions() -> Iterator[Case]:
    """NumPy's and SciPy's: data, first values and features are made with them."""
    x = draw("numpy", 300, 128).astype(np.float64)
    positive = np.abs(x) + 1e-3
    for function in (np.exp, np.tanh, np.sin, np.cos):
        yield f"{function.__name__} float64", partial(function, x)
        yield f"{function.__name__} float32", partial(function, x.astype(np.float32))
    for function in (np.log, np.log10, np.sqrt):
        yield f"{function.__name__} float64", partial(function, positive)
    yield "sum", partial(np.sum, x)
    yield "mean of columns", partial(np.mean, x, 0)
    yield "std", partial(np.std, x)
    yield "product float64", partial(np.matmul, x, x.T)
    yield "product float32", partial(np.matmul, x.astype("f4"), x.T.astype("f4"))
    yield "einsum float64", partial(np.einsum, "ik,jk->ij", x, x)
    yield "power", partial(np.power, positive, 1.7)
    yield "scipy.fft.rfft", partial(scipy.fft.rfft, x, axis=-1)
    yield "geomspace", partial(np.geomspace, 2.0, 0.05, 15)


FAMILIES = {
    "products of n columns, n a multiple of 64, and an inner dimension of at most 512": partial(
        plain_products, True
    ),
    "other products": partial(plain_products, False),
    "layers and attention, forward and backward, as XLA gives them": partial(products, jnp.matmul),
    "the same with whole columns, in pieces": partial(products, whole_columns),
    "sums": sums,
    "functions": functions,
    "lookups, order, random numbers": orders,
    "NumPy and SciPy": numpy_functions,
}


def main() -> None:
    """Print all digests; progress goes to stderr."""
    jax.config.update("jax_platforms", "cpu")
    found = {}
    for family in sys.argv[1:] or FAMILIES:
        found[family] = {name: digest(compute()) for name, compute in FAMILIES[family]()}
        print(f"{len(found[family])} {family}", file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
