"""Building blocks that every model family shares, as Flax NNX modules and plain functions.

Shapes: activations are 2-D, `[batch * time, width]`, wherever a matrix product reads them. XLA on
CPU runs such products about a third faster than 3-D ones and compiles them in less than half the
time. Attention splits the rows back into `[batch, heads, time, width / heads]`.

A new module is *abstract*: each parameter is a shape and an initializer and takes no memory.
`parameters.initialise` fills in whatever a pretrained folder does not bring.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from stages.core.errors import InputError, quoted
from stages.models.dropout import dropout
from stages.models.parameters import Constant, Initializer, Normal, abstract_param
from stages.models.products import product


@jax.custom_vjp
def weight_gradients_first(x: jax.Array, *weights: jax.Array) -> tuple[jax.Array, ...]:
    """The identity; in the backward pass, the gradient of `x` waits for those of `weights`.

    XLA's scheduler would otherwise compute the gradients of all activations first and keep them
    for the gradients of the weights at the end. In a step of BERT-base on 2 x 384 tokens that took
    464 MB of temporary memory; 280 MB when each layer's weights come before the layer below, in
    the same time. It takes a sum to make them wait: XLA removes an `optimization_barrier` before
    it schedules.
    """
    return x, *weights


def _weight_gradients_first_backward(_, gradients):
    x, *weights = gradients
    done = sum(gradient.ravel()[0].astype(x.dtype) for gradient in weights)
    return x + 0 * done, *weights


weight_gradients_first.defvjp(
    lambda *arguments: (arguments, None), _weight_gradients_first_backward
)


class Linear(nnx.Module):
    """`x @ kernel + bias`, the kernel stored `[inputs, outputs]` (PyTorch stores it transposed)."""

    def __init__(self, inputs: int, outputs: int, *, std: float, bias: bool = True):
        self.kernel = abstract_param((inputs, outputs), Normal(std))
        self.bias = abstract_param((outputs,), Constant(0)) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[..., inputs]` to `[..., outputs]`, computed on two dimensions."""
        weights = [self.kernel[...]] if self.bias is None else [self.kernel[...], self.bias[...]]
        y, kernel, *bias = weight_gradients_first(x.reshape(-1, x.shape[-1]), *weights)
        y = sum(bias, start=product(y, kernel))
        return y.reshape(*x.shape[:-1], y.shape[-1])


class Embedding(nnx.Module):
    """A table of vectors, `[rows, width]`."""

    def __init__(
        self, rows: int, width: int, *, init: Initializer, kind: type[nnx.Param] = nnx.Param
    ):
        self.embedding = abstract_param((rows, width), init, kind)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Look up int32 `[...]` as `[..., width]`; an id outside the table gives NaN."""
        return jnp.take(self.embedding[...], ids, axis=0)

    def attend(self, x: jax.Array) -> jax.Array:
        """Score `[..., width]` against every row as `[..., rows]`: the decoder of a tied head."""
        y = product(x.reshape(-1, x.shape[-1]), self.embedding[...], transposed=True)
        return y.reshape(*x.shape[:-1], y.shape[-1])


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis, with statistics in float32."""

    def __init__(self, width: int, *, eps: float):
        self.scale = abstract_param((width,), Constant(1))
        self.bias = abstract_param((width,), Constant(0))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., width]`; shape and dtype stay."""
        y = x.astype(jnp.float32)
        y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        return (y * self.scale[...] + self.bias[...]).astype(x.dtype)


class RMSNorm(nnx.Module):
    """Division by the root mean square of the last axis (Zhang and Sennrich 2019, 1910.07467).

    The mean is not subtracted and there is no bias; the statistics are in float32.
    """

    def __init__(self, width: int, *, eps: float, scale: float = 1.0):
        self.scale = abstract_param((width,), Constant(scale))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., width]`; shape and dtype stay."""
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        return (y * self.scale[...]).astype(x.dtype)


def mask_bias(mask: jax.Array, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Turn a mask (nonzero = attend) into a bias that is added to the attention scores.

    It is the lowest finite number rather than minus infinity: a row with nothing to attend to
    then gets equal weights, not NaN.
    """
    return jnp.where(mask != 0, 0, jnp.finfo(dtype).min).astype(dtype)


def pack_bias(queries: jax.Array, keys: jax.Array) -> jax.Array:
    """The bias that keeps attention within each of several sequences packed into one row.

    Args:
        queries: int32 `[rows, query time]`, which sequence of its row a token is of; 0 is padding.
        keys: the same of the tokens attended to, `[rows, key time]`.

    Returns:
        float32 `[rows, 1, query time, key time]`.
    """
    return mask_bias(queries[:, None, :, None] == keys[:, None, None, :])


def sequence_starts(sequences: jax.Array) -> jax.Array:
    """Whether a sequence of a row begins at a token: bool `[rows, time]`.

    `sequences` is int32 `[rows, time]`, which sequence of its row a token is of, one after another.
    """
    return jnp.diff(sequences, axis=1, prepend=-1) != 0


def pack_positions(sequences: jax.Array) -> jax.Array:
    """Positions that begin again with each sequence of a row: int32 `[rows, time]`, from 0."""
    order = jnp.arange(sequences.shape[1])[None]
    return order - jax.lax.cummax(jnp.where(sequence_starts(sequences), order, 0), axis=1)


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
    so is `position`, a separate argument so that the gradient of a learned bias never has that
    whole shape. `rate` is the dropout on the weights, which are computed in float32. The result
    has the shape of `query`.
    """
    rng = None if rngs is None or rate == 0 else rngs.dropout()

    def attend(query, key, value, bias, position):
        scores = product(query * scale, key, transposed=True).astype(jnp.float32)
        if bias is not None:
            scores = scores + bias
        if position is not None:
            scores = scores + position
        weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        return product(dropout(weights, rate, rng), value)

    # Scores larger than the keys are recomputed in the backward pass, as in Dao et al. 2022
    # (2205.14135): that takes no longer than to fetch stored ones.
    if key.shape[2] > key.shape[3]:
        attend = jax.checkpoint(attend)
    return attend(query, key, value, bias, position)


# Without remat each intermediate of a gelu is kept for the backward pass, as large as its input.
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
    """Return the activation of a transformers configuration; raise InputError if unknown."""
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(f"activation {quoted(name)} is not supported; use one of: {known}")
    return ACTIVATIONS[name]
