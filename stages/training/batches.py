"""The batches of a command, for all of its devices."""

import jax

from stages.data.batching import Batches, Columns
from stages.data.packing import PackedBatches


def make_batches(
    columns: Columns, rows_per_device: int, *, pack: bool = False, **options
) -> Batches:
    """`Batches` of `rows_per_device` rows for each device.

    Args:
        columns: as in `Batches`.
        rows_per_device: `per_device_train_batch_size` or `per_device_eval_batch_size`.
        pack: make `PackedBatches`.
        options: further arguments of `Batches`; scripts give `args.batch_options` among them.
    """
    devices = jax.device_count()
    kind = PackedBatches if pack else Batches
    return kind(columns, batch_size=rows_per_device * devices, devices=devices, **options)
