"""In which dtype a model computes: its weights stay float32, a step casts them before it merges."""

import jax
import jax.numpy as jnp
from flax import nnx


def set_compute_dtype(model: nnx.Module, dtype: str) -> None:
    """Note on `model` that its steps compute in `dtype`: `"float32"` or `"bfloat16"`."""
    model.compute_dtype = dtype


def compute_dtype(model: nnx.Module) -> str:
    """What `set_compute_dtype` noted, or `"float32"` where nothing was."""
    return getattr(model, "compute_dtype", "float32")


def cast(params, dtype: str):
    """`params` with its float32 arrays in `dtype`; all others, and float32 itself, as they are."""
    if dtype == "float32":
        return params
    return jax.tree.map(
        lambda array: array.astype(dtype) if array.dtype == jnp.float32 else array, params
    )
