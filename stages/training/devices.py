"""The devices: XLA's settings for them, and a one-dimensional mesh over all."""

import logging
import os
import platform
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from stages.core.files import user_cache

logger = logging.getLogger(__name__)

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


# What keeps XLA from choosing by the processor.
PORTABLE = (
    # No products of YNNPACK, and of Eigen with oneDNN only those that are asked for.
    "--xla_cpu_experimental_ynn_fusion_type=",
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_backend_extra_options="
    "xla_force_enable_experimental_llvm_ir_gemm,"
    # Rows, inner dimension and columns of a tile, which change no bytes. It fits the 16 registers
    # of AVX2; with columns of four vectors XLA writes beyond a product's end.
    "xla_llvm_ir_gemm_tile_size=6:9:2*vectwidth,"
    # Approximate reciprocal square roots: processors have others.
    "xla_cpu_disable_platform_dependent_math,"
    # LLVM's own choice is slower.
    "-force-vector-width=8,-force-vector-interleave=1",
)
# On x86-64: wider vectors than every processor since 2013 to 2015 has.
WIDEST = "--xla_cpu_max_isa=AVX2"


def compute_portably() -> None:
    """Let every x86-64 processor with AVX2 compute the same bytes, from the same threads.

    Call it before the first computation. It is a setting of XLA for CPUs, of float32; what else
    `XLA_FLAGS` holds stays, and of two values of a flag XLA takes this one. Products are the other
    half, `stages.models.products`. docs/reproducibility.md says what both promise, and what shows
    it.
    """
    flags = list(PORTABLE)
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append(WIDEST)
        if lacks_instructions():
            logger.warning(
                "portable: this processor has no AVX2, so its figures are not those of others"
            )
    else:
        logger.warning(
            "portable: on %s the bytes repeat, but they are not those of x86-64",
            platform.machine(),
        )
    given = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join([*(flag for flag in given if flag not in flags), *flags])


def lacks_instructions(description: str = "/proc/cpuinfo") -> bool:
    """Whether Linux describes the processor without AVX2 or fused multiply-adds."""
    try:
        lines = Path(description).read_text(encoding="utf-8").splitlines()
    except OSError:
        return False  # another system
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return bool(flags) and not {"avx2", "fma"} <= set(flags)


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
