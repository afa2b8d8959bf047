"""The fingerprint of a training run: only a run with the same one may resume its state."""

from pathlib import Path

import jax

from stages.core.checksums import folder_checksum
from stages.core.versions import installed_versions
from stages.training.arguments import CommonArguments

# Arguments that do not change the weights: where outputs go, and what is done after training.
NO_EFFECT_ON_WEIGHTS = {
    "cache_dir", "checkpoint_seconds", "data_license", "do_eval", "do_predict", "hub_model_id",
    "max_predict_samples", "metrics_file", "output_dir", "overwrite_cache", "overwrite_output_dir",
    "plots_dir", "preprocessing_num_workers", "push_to_hub", "run_dir", "save_steps", "test_file",
}  # fmt: skip


def run_fingerprint(args: CommonArguments, validation_checksum: str | None) -> dict:
    """What identifies a run before its data are read; the loop adds weights and rows.

    Args:
        args: the task's arguments.
        validation_checksum: SHA-256 of the validation file, or of a folder of audio files; None
            where there is none.

    Returns:
        Plain data: arguments, that checksum, one of our own code, versions, and the devices, whose
        number scales the batches.
    """
    return {
        "arguments": {
            name: value
            for name, value in args.as_dict().items()
            if name not in NO_EFFECT_ON_WEIGHTS
        },
        "validation": validation_checksum,
        "code": folder_checksum(Path(__file__).parents[1], "*.py"),
        "versions": installed_versions(),
        "devices": [jax.default_backend(), jax.device_count()],
    }
