"""The inputs of a training run that are known before the data are read."""

from pathlib import Path

import jax

from stages.core.checksums import folder_checksum, path_checksum
from stages.core.versions import installed_versions

# Arguments that do not change the weights: where outputs go, and what is done after training.
NO_EFFECT_ON_WEIGHTS = {
    "cache_dir", "checkpoint_seconds", "data_license", "do_eval", "do_predict", "hub_model_id",
    "max_predict_samples", "metrics_file", "output_dir", "overwrite_cache", "overwrite_output_dir",
    "plots_dir", "preprocessing_num_workers", "push_to_hub", "run_dir", "save_steps", "test_file",
}  # fmt: skip


def run_inputs(args, files: dict) -> dict:
    """What identifies a run's resume state, besides its first weights and its rows.

    Args:
        args: the task's arguments.
        files: as `stages.training.session.inputs` returns them.

    Returns:
        Plain data: arguments, checksums of the validation file (a folder where it is audio) and
        of our own code, versions, and the devices, by whose number a batch's size is multiplied.
    """
    arguments = args.as_dict()
    validation = path_checksum(files["validation"].path) if "validation" in files else None
    return {
        "arguments": {
            name: value for name, value in arguments.items() if name not in NO_EFFECT_ON_WEIGHTS
        },
        "validation": validation,
        "code": folder_checksum(Path(__file__).parents[1], "*.py"),
        "versions": installed_versions(),
        "devices": [jax.default_backend(), jax.device_count()],
    }
