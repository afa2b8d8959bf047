"""What a training is made from, as far as it shows before the data are read."""

import hashlib
from pathlib import Path

import jax

from stages.versions import installed_versions

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
        found: what `stages.start.inputs` gave.

    Returns:
        Plain data: arguments, a checksum of the validation file, one of our own code, versions,
        and the devices, by whose number batches grow.
    """
    arguments = args.as_dict()
    validation = Path(found["validation"].path) if "validation" in found else None
    return {
        "arguments": {
            name: value for name, value in arguments.items() if name not in WITHOUT_CONSEQUENCE
        },
        "validation": _sha256([validation]) if validation else None,
        "code": _sha256(Path(__file__).parent.rglob("*.py")),
        "versions": installed_versions(),
        "devices": [jax.default_backend(), jax.device_count()],
    }


def _sha256(paths) -> str:
    """Of these files and of those in these folders, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                total.update(file.name.encode())
                total.update(file.read_bytes())
    return total.hexdigest()
