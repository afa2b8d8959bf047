"""Where a batch goes: a one-dimensional mesh over the devices there are.

Where there is no accelerator, a processor core is a device (`cores_as_devices`): each works on its
share of a batch from end to end, and they meet once a step. XLA's own way, all cores on one matrix
product after another, waits for the slowest core hundreds of times a step.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
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


# Each core holds the weights once more: past this many their memory counts for more than the time.
MOST_CORES = 8
# Whether the devices are the cores of one processor, which share the rows of a batch.
_cores_share = False


def cores_as_devices(rows: int) -> None:
    """Make JAX see processor cores as devices, as many as divide `rows` and at most `MOST_CORES`.

    Nothing is done if JAX already runs, has an accelerator, or was told a number of devices
    (`JAX_NUM_CPU_DEVICES`, or in `XLA_FLAGS`); `JAX_NUM_CPU_DEVICES=1` switches this off.
    """
    global _cores_share
    told = "JAX_NUM_CPU_DEVICES" in os.environ or "device_count" in os.environ.get("XLA_FLAGS", "")
    if told or entry_points(group="jax_plugins"):
        return
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    devices = _divisor(rows, min(cores, MOST_CORES))
    if devices == 1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError:  # JAX runs
        return
    # Read by XLA when it starts: the threads that one device's operations are spread over.
    os.environ.setdefault("NPROC", str(max(cores // devices, 1)))
    _cores_share = True


def _divisor(rows: int, most: int) -> int:
    return next(count for count in range(most, 0, -1) if rows % count == 0)


def batch_rows(per_device: int) -> int:
    """Rows of a batch over all devices; cores of one processor are one device."""
    return per_device if _cores_share else per_device * jax.device_count()


def data_mesh(rows: int) -> Mesh:
    """Devices in one axis, `data`: each gets its part of `rows`, all hold the weights.

    All devices, unless `rows` cannot be shared out evenly: then as many as divide it.
    """
    devices = jax.devices()
    return Mesh(np.asarray(devices[: _divisor(rows, len(devices))]), ("data",))


def batch_to(mesh: Mesh) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """A function that puts the rows of a host batch on the devices of `mesh`."""
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return lambda arrays: jax.device_put(arrays, sharding)


def replicate(tree, mesh: Mesh):
    """Every array of `tree` whole on every device of `mesh`."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
