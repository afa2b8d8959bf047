"""Where a batch goes: a one-dimensional mesh over the devices there are."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def use_compile_cache() -> None:
    """Keep compiled programs between processes: each pipeline stage is a new one.

    `JAX_COMPILATION_CACHE_DIR` names another folder; empty switches the cache off.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(home / "flaxmill" / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def keep_freed_memory() -> None:
    """Let glibc keep what XLA frees, instead of giving it back to the system after each use.

    XLA on CPU takes its buffers anew in every step. By default glibc maps each large one and
    unmaps it again, so that every step pays for clearing gigabytes of fresh pages: a tenth of the
    time of a large model's step, more of a small one's. Elsewhere than on glibc nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    # From malloc.h: no buffer in a mapping of its own, no heap given back, one arena for all.
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 * 1024**2)
    mallopt(arena_max, 1)


def data_mesh() -> Mesh:
    """All devices in one axis, `data`: each gets its rows of a batch, all hold the weights."""
    return Mesh(np.asarray(jax.devices()), ("data",))


def batch_to(mesh: Mesh) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """A function that puts the rows of a host batch on the devices of `mesh`."""
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return lambda arrays: jax.device_put(arrays, sharding)


def replicate(tree, mesh: Mesh):
    """Every array of `tree` whole on every device of `mesh`."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
