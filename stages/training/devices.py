"""The devices: XLA's settings for them, and a one-dimensional mesh over all."""

import os

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from stages.core.files import user_cache

TRITON_PRODUCTS = "--xla_gpu_enable_triton_gemm"


def use_cublas() -> None:
    """On a GPU leave matrix products to cuBLAS; call it before the first computation.

    By default XLA tries its own Triton kernels for each of them while it compiles. The step of
    a DistilBERT-base-sized model (32 rows of 128 tokens, H200) took 124 s to compile that way and
    8.7 ms to run; with cuBLAS alone 25 s and 8.0 ms. An `XLA_FLAGS` that has the flag is unchanged.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if TRITON_PRODUCTS not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {TRITON_PRODUCTS}=false".strip()


def limit_threads(threads: int) -> None:
    """Share each operation on a CPU among `threads`; call it before the first computation.

    XLA takes the size of its pool from this variable, else from the cores of the process.
    """
    os.environ["NPROC"] = str(threads)


def use_compile_cache() -> None:
    """Keep compiled programs between processes: each pipeline stage is a new one.

    `JAX_COMPILATION_CACHE_DIR` names another folder; empty switches the cache off.

    Raises:
        InputError: there is no folder to keep them in.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    jax.config.update("jax_compilation_cache_dir", str(user_cache() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def data_mesh() -> Mesh:
    """All devices in one axis, `data`: each gets its rows of a batch, all hold the weights."""
    return Mesh(np.asarray(jax.devices()), ("data",))


def shard_batch(arrays: dict[str, np.ndarray], mesh: Mesh, parts: int = 1) -> dict[str, jax.Array]:
    """The rows of a host batch spread over the devices of `mesh`.

    With several `parts` the rows are split first, `[parts, rows, ...]`: consecutive rows belong
    to a part, and each device gets its rows of every part.
    """
    if parts == 1:
        return jax.device_put(arrays, NamedSharding(mesh, PartitionSpec("data")))
    split = {name: array.reshape(parts, -1, *array.shape[1:]) for name, array in arrays.items()}
    return jax.device_put(split, NamedSharding(mesh, PartitionSpec(None, "data")))


def replicate(tree, mesh: Mesh):
    """Every array of `tree` whole on every device of `mesh`."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
