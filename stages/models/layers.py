"""Building blocks that every model family shares, as Flax NNX modules and plain functions.

Shapes: activations are 2-D, `[batch * time, width]`, wherever a matrix product reads them. XLA on
CPU runs such products about a third faster than 3-D ones and compiles them in less than half the
time. Attention splits the rows back into `[batch, heads, time, width / heads]`.

A module is built *blank*: each parameter is a shape and the rule for its first values, and no
memory is taken. `initialise` fills in what a checkpoint does not bring.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.core.errors import InputError
from stages.models.dropout import dropout


@dataclass(frozen=True)
class Normal:
    """First values from a normal distribution; row `zero` (the padding token's) is zero."""

    std: float
    zero: int | None = None

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(self.std)
        if self.zero is not None:
            values[self.zero] = 0
        return values


@dataclass(frozen=True)
class Constant:
    """First values all the same."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.value, np.float32)


@dataclass(frozen=True)
class Sinusoid:
    """First values of a position table: sine and cosine, side by side, of falling frequency.

    The waves are those of Vaswani et al. 2017, section 3.5, times `amplitude`; the root of their
    mean square is `amplitude / sqrt(2)`. Row `zero` is zero.
    """

    amplitude: float
    zero: int | None = None

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        rows, width = shape
        frequency = 10000.0 ** (-(np.arange(width) // 2 * 2) / width)
        angle = np.arange(rows)[:, None] * frequency
        values = np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))
        if self.zero is not None:
            values[self.zero] = 0
        return (values * self.amplitude).astype(np.float32)


Fill = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Fixed(nnx.Param):
    """A parameter with the values that it is born with: stored, but left alone by the optimiser."""


def parameter(shape: tuple[int, ...], fill: Fill, kind: type[nnx.Param] = nnx.Param) -> nnx.Param:
    """Make a blank float32 parameter, to be filled by `initialise` or from a checkpoint."""
    return kind(jax.ShapeDtypeStruct(shape, jnp.float32), fill=fill)


def parameters(model: nnx.Module) -> list[tuple[tuple, nnx.Param]]:
    """List every parameter with its NNX path, in an order that does not change."""
    return list(nnx.to_flat_state(nnx.state(model, nnx.Param)))


def dotted(path: Iterable) -> str:
    """Write an NNX path as one string: `("layers", 0, "query", "kernel")` with dots between."""
    return ".".join(map(str, path))


def set_parameter(param: nnx.Param, values: np.ndarray) -> None:
    """Give a blank parameter its values; the rule for first values is dropped."""
    param.set_value(jnp.asarray(values))
    param.del_metadata("fill")


def initialise(model: nnx.Module, seed: int) -> list[str]:
    """Fill every parameter of `model` that is still blank; return their dotted paths.

    Each draws from a generator of its own, named by seed and path, so that another head, or one
    layer more, leaves the other first values as they are.
    """
    filled = []
    for path, param in parameters(model):
        if param.has_metadata("fill"):
            name = dotted(path)
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            set_parameter(param, param.get_metadata("fill")(rng, param.shape))
            filled.append(name)
    return filled


@jax.custom_vjp
def weights_first(x: jax.Array, *weights: jax.Array) -> tuple[jax.Array, ...]:
    """Give back what came; in the backward pass, the gradient of `x` waits for those of `weights`.

    XLA's scheduler would go through the gradients of all activations first, and keep each of them
    for the gradients of the weights at the end: 464 MB of temporary memory in a step of BERT-base
    on 2 x 384 tokens, and 280 MB when each layer's are done before those of the layer below, in
    the same time. Nothing less than a sum makes them wait: XLA takes an `optimization_barrier` out
    again before it puts the operations in order.
    """
    return x, *weights


def _weights_first_backward(_, gradients):
    x, *weights = gradients
    done = sum(gradient.ravel()[0].astype(x.dtype) for gradient in weights)
    return x + 0 * done, *weights


weights_first.defvjp(lambda *arguments: (arguments, None), _weights_first_backward)


class Linear(nnx.Module):
    """`x @ kernel + bias`, the kernel stored `[inputs, outputs]` (PyTorch stores it transposed)."""

    def __init__(self, inputs: int, outputs: int, *, std: float, bias: bool = True):
        self.kernel = parameter((inputs, outputs), Normal(std))
        self.bias = parameter((outputs,), Constant(0)) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[..., inputs]` to `[..., outputs]`, computed on two dimensions."""
        weights = [self.kernel[...]] if self.bias is None else [self.kernel[...], self.bias[...]]
        y, kernel, *bias = weights_first(x.reshape(-1, x.shape[-1]), *weights)
        y = sum(bias, start=y @ kernel)
        return y.reshape(*x.shape[:-1], y.shape[-1])


class Embedding(nnx.Module):
    """A table of vectors, `[rows, width]`."""

    def __init__(self, rows: int, width: int, *, fill: Fill, kind: type[nnx.Param] = nnx.Param):
        self.embedding = parameter((rows, width), fill, kind)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Look up int32 `[...]` as `[..., width]`; an id outside the table gives NaN."""
        return jnp.take(self.embedding[...], ids, axis=0)

    def attend(self, x: jax.Array) -> jax.Array:
        """Score `[..., width]` against every row as `[..., rows]`: the decoder of a tied head."""
        y = x.reshape(-1, x.shape[-1]) @ self.embedding[...].T
        return y.reshape(*x.shape[:-1], y.shape[-1])


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis, its statistics in float32."""

    def __init__(self, width: int, *, eps: float):
        self.scale = parameter((width,), Constant(1))
        self.bias = parameter((width,), Constant(0))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., width]`; shape and dtype stay."""
        y = x.astype(jnp.float32)
        y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        return (y * self.scale[...] + self.bias[...]).astype(x.dtype)


class RMSNorm(nnx.Module):
    """Division by the root mean square of the last axis (Zhang and Sennrich 2019, 1910.07467).

    The mean is not taken off and there is no bias; the statistics are in float32.
    """

    def __init__(self, width: int, *, eps: float, scale: float = 1.0):
        self.scale = parameter((width,), Constant(scale))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., width]`; shape and dtype stay."""
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        return (y * self.scale[...]).astype(x.dtype)


def mask_bias(mask: jax.Array, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Turn a mask (nonzero = attend) into what is added to the attention scores.

    The lowest finite number rather than minus infinity: a row with nothing to attend to then
    becomes even weights, not NaN.
    """
    return jnp.where(mask != 0, 0, jnp.finfo(dtype).min).astype(dtype)


def split_heads(x: jax.Array, batch: int, heads: int) -> jax.Array:
    """Reorder `[batch * time, width]` as `[batch, heads, time, width / heads]`."""
    return x.reshape(batch, -1, heads, x.shape[-1] // heads).transpose(0, 2, 1, 3)


def merge_heads(x: jax.Array) -> jax.Array:
    """Undo `split_heads`: `[batch, heads, time, size]` to `[batch * time, heads * size]`."""
    batch, heads, time, size = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch * time, heads * size)


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None,
    *,
    position: jax.Array | None = None,
    scale: float,
    rate: float = 0.0,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Attend from `[batch, heads, query time, size]` to `[batch, heads, key time, size]`.

    `bias` is added to the scaled scores and broadcasts to `[batch, heads, query time, key time]`;
    so is `position`, which is apart so that the gradient of a learned bias is never of that whole
    shape. `rate` is the dropout on the weights. Weights are computed in float32. Returns the shape
    of `query`.
    """
    rng = None if rngs is None or rate == 0 else rngs.dropout()

    def attend(query, key, value, bias, position):
        scores = jnp.einsum("bhqd,bhkd->bhqk", query * scale, key).astype(jnp.float32)
        if bias is not None:
            scores = scores + bias
        if position is not None:
            scores = scores + position
        weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        return jnp.einsum("bhqk,bhkd->bhqd", dropout(weights, rate, rng), value)

    # Scores that are larger than the keys are computed anew in the backward pass, as in Dao et al.
    # 2022 (2205.14135), in place of being kept, for no more time than it takes to fetch them.
    if key.shape[2] > key.shape[3]:
        attend = jax.checkpoint(attend)
    return attend(query, key, value, bias, position)


# A gelu's parts would be kept for the backward pass, each as large as its input, which is enough.
_gelu = jax.checkpoint(partial(jax.nn.gelu, approximate=False))
_gelu_tanh = jax.checkpoint(partial(jax.nn.gelu, approximate=True))

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "tanh": jnp.tanh,
}


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """Return the activation a transformers configuration names; raise InputError if unknown."""
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(f"activation {name!r} is not supported; use one of: {known}")
    return ACTIVATIONS[name]


def look_at_offsets(
    query: Linear,
    key: Linear,
    offsets: Sequence[float],
    frequencies: np.ndarray,
    cosines: np.ndarray,
    sines: np.ndarray,
    *,
    gain: float,
    noise: float,
) -> None:
    """Change first values so that each head attends to one offset from the query's own place.

    Queries are positions rotated by the offset and keys are positions, so that a score is a sum
    of cosines which is largest where the two meet.

    Args:
        query, key: kernels [width, heads * size].
        offsets: places ahead, one a head; negative ones lie behind.
        frequencies: radians a place, at most size / 2 of them.
        cosines, sines: of each frequency, the dimension of the input that holds the cosine or
            sine of a position.
        gain: what a wave is multiplied by, in query and key alike.
        noise: share of the random values that is left beside it.
    """
    queries, keys = (np.array(linear.kernel[...]) * noise for linear in (query, key))
    size = queries.shape[1] // len(offsets)
    for head, offset in enumerate(offsets):
        for pair, frequency in enumerate(frequencies):
            columns = [head * size + 2 * pair, head * size + 2 * pair + 1]
            places = np.ix_([cosines[pair], sines[pair]], columns)
            cosine, sine = math.cos(frequency * offset), math.sin(frequency * offset)
            queries[places] += gain * np.array([[cosine, sine], [-sine, cosine]], np.float32)
            keys[places] += gain * np.eye(2, dtype=np.float32)
    for linear, values in ((query, queries), (key, keys)):
        set_values(linear.kernel, values)


def set_values(param: nnx.Param, values: np.ndarray) -> None:
    """Overwrite the first values of a parameter, in float32."""
    param.set_value(jnp.asarray(values, jnp.float32))
