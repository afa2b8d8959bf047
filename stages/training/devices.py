"""Where a batch goes: a one-dimensional mesh over the devices there are."""

import os
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

TRITON_PRODUCTS = "--xla_gpu_enable_triton_gemm"


def use_cublas() -> None:
    """Before the first computation: on a GPU leave matrix products to cuBLAS.

    As it comes, XLA tries its own Triton kernels for each of them while it compiles. The step of
    a DistilBERT-base-sized model (32 rows of 128 tokens, H200) took 124 s to compile that way and
    8.7 ms to run; with cuBLAS alone 25 s and 8.0 ms. `XLA_FLAGS` that name the flag stay.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if TRITON_PRODUCTS not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {TRITON_PRODUCTS}=false".strip()


def use_compile_cache() -> None:
    """Keep compiled programs between processes: each pipeline stage is a new one.

    `JAX_COMPILATION_CACHE_DIR` names another folder; empty switches the cache off.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(home / "flaxmill" / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def data_mesh() -> Mesh:
    """All devices in one axis, `data`: each gets its rows of a batch, all hold the weights."""
    return Mesh(np.asarray(jax.devices()), ("data",))


def batch_to(mesh: Mesh, parts: int = 1) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """A function that puts the rows of a host batch on the devices of `mesh`.

    With several `parts` the rows are split first, `[parts, rows, ...]`: consecutive rows belong
    to a part, and each device gets its rows of every part.
    """
    if parts == 1:
        sharding = NamedSharding(mesh, PartitionSpec("data"))
        return lambda arrays: jax.device_put(arrays, sharding)
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))

    def put(arrays):
        split = {name: array.reshape(parts, -1, *array.shape[1:]) for name, array in arrays.items()}
        return jax.device_put(split, sharding)

    return put


def replicate(tree, mesh: Mesh):
    """Every array of `tree` whole on every device of `mesh`."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
