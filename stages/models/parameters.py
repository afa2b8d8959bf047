"""Parameters: abstract ones, their initializers, and the filling in of their first values."""

import math
import os
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.core.errors import InputError

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Normal:
    """A normal distribution of mean 0; row `zero` (the padding token's) is zero."""

    std: float
    zero: int | None = None

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(self.std)
        if self.zero is not None:
            values[self.zero] = 0
        return values


@dataclass(frozen=True)
class Constant:
    """The same value everywhere."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.value, np.float32)


def geometric(first: float, last: float, count: int) -> np.ndarray:
    """float64 [count] from `first` to `last`, each in the same ratio to the one before.

    What `np.geomspace` gives, on every processor: NumPy's powers differ in the last bit.
    """
    return np.array([first * (last / first) ** (step / (count - 1)) for step in range(count)])


@dataclass(frozen=True)
class Sinusoid:
    """A position table: sine and cosine, side by side, of falling frequency.

    The waves are those of Vaswani et al. 2017, section 3.5, times `amplitude`; the root of their
    mean square is `amplitude / sqrt(2)`. Row `zero` is zero.
    """

    amplitude: float
    zero: int | None = None

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        rows, width = shape
        # Python's powers: NumPy's differ between processors in the last bit.
        frequency = np.array([10000.0 ** (-(column // 2 * 2) / width) for column in range(width)])
        angle = np.arange(rows)[:, None] * frequency
        values = np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))
        if self.zero is not None:
            values[self.zero] = 0
        return (values * self.amplitude).astype(np.float32)


# A generator and a shape to float32 values.
Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class FrozenParam(nnx.Param):
    """A parameter that is saved and loaded, but that the optimizer leaves as it is."""


def abstract_param(
    shape: tuple[int, ...], init: Initializer, kind: type[nnx.Param] = nnx.Param
) -> nnx.Param:
    """Make a float32 parameter that has a shape and an initializer, but no values yet."""
    return kind(jax.ShapeDtypeStruct(shape, jnp.float32), init=init)


def named_parameters(model: nnx.Module) -> list[tuple[tuple, nnx.Param]]:
    """List the parameters with their NNX paths, in an order that does not change."""
    return list(nnx.to_flat_state(nnx.state(model, nnx.Param)))


def dotted(path: Iterable) -> str:
    """Join an NNX path with dots: `("layers", 0, "query", "kernel")` is `layers.0.query.kernel`."""
    return ".".join(map(str, path))


def set_parameter(param: nnx.Param, values: np.ndarray) -> None:
    """Give an abstract parameter its values, and drop its initializer."""
    param.set_value(jnp.asarray(values))
    param.del_metadata("init")


def initialise(model: nnx.Module, seed: int) -> list[str]:
    """Initialise each parameter of `model` that is still abstract; return their dotted paths.

    Each draws from its own generator, seeded with `seed` and its path, so that another head or an
    additional layer does not change the first values of the others.

    Raises:
        InputError: the machine's memory cannot hold them.
    """
    new = [(path, param) for path, param in named_parameters(model) if param.has_metadata("init")]
    needed = sum(FLOAT32 * math.prod(param.shape) for _, param in new)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"new weights of these sizes take {needed / 2**30:.4g} GiB, and this machine has "
            f"{memory / 2**30:.4g}; lower the sizes in the model's configuration"
        )
    initialised = []
    for path, param in new:
        name = dotted(path)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        set_parameter(param, param.get_metadata("init")(rng, param.shape))
        initialised.append(name)
    return initialised


def overwrite(param: nnx.Param, values: np.ndarray) -> None:
    """Replace the first values of a parameter, in float32."""
    param.set_value(jnp.asarray(values, jnp.float32))
