"""What a training is made from, as far as it shows before the data are read."""

from pathlib import Path

import jax

from stages.core.checksums import folder_checksum, path_checksum
from stages.core.versions import installed_versions

# Where things go, and what is done with them afterwards: the same weights come out.
WITHOUT_CONSEQUENCE = {
    "cache_dir", "checkpoint_seconds", "data_license", "do_eval", "do_predict", "hub_model_id",
    "max_predict_samples", "metrics_file", "output_dir", "overwrite_cache", "overwrite_output_dir",
    "plots_dir", "preprocessing_num_workers", "push_to_hub", "run_dir", "save_steps", "test_file",
}  # fmt: skip


def run_inputs(args, found: dict) -> dict:
    """By what a checkpoint is told from that of another run, beside weights and rows.

    Args:
        args: the task's arguments.
        found: what `stages.training.session.inputs` gave.

    Returns:
        Plain data: arguments, a checksum of the validation file (or folder, of audio files), one
        of our own code, versions, and the devices, by whose number batches grow.
    """
    arguments = args.as_dict()
    validation = path_checksum(found["validation"].path) if "validation" in found else None
    return {
        "arguments": {
            name: value for name, value in arguments.items() if name not in WITHOUT_CONSEQUENCE
        },
        "validation": validation,
        "code": folder_checksum(Path(__file__).parents[1], "*.py"),
        "versions": installed_versions(),
        "devices": [jax.default_backend(), jax.device_count()],
    }
