"""The dtype in which a model computes: weights stay float32 and a step casts them."""

import jax
import jax.numpy as jnp
from flax import nnx


def set_compute_dtype(model: nnx.Module, dtype: str) -> None:
    """Set the dtype in which `model`'s steps compute: `"float32"` or `"bfloat16"`."""
    model.compute_dtype = dtype


def compute_dtype(model: nnx.Module) -> str:
    """The dtype set by `set_compute_dtype`; `"float32"` by default."""
    return getattr(model, "compute_dtype", "float32")


def cast(params, dtype: str):
    """`params` with its float32 arrays cast to `dtype`; other arrays are unchanged."""
    if dtype == "float32":
        return params
    return jax.tree.map(
        lambda array: array.astype(dtype) if array.dtype == jnp.float32 else array, params
    )
