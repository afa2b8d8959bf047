"""The outputs of a command besides the model: results, metrics, predictions, the hub."""

import math
from pathlib import Path

from stages.core.errors import InputError
from stages.core.files import write_json, write_json_lines

# File name of a split's predictions in the output folder.
PREDICTIONS = {"eval": "eval_predictions.json", "test": "predictions.json"}


def write_results(
    args, split: str, metrics: dict[str, float | int], rows: list[dict] | None = None
) -> None:
    """Write `{split}_results.json` into the output folder, and an evaluation to `metrics_file`.

    Args:
        args: the task's arguments.
        split: `train`, `eval` or `test`.
        metrics: names with their prefix (`eval_accuracy`) to plain numbers; one that is not
            finite (the correlation with a constant) becomes null, which fails every gate.
        rows: predictions, one object a line of the split's file in `PREDICTIONS`; None where the
            task writes no such file.
    """
    if rows is not None:
        write_json_lines(Path(args.output_dir) / PREDICTIONS[split], rows)
    metrics = {
        name: metrics[name] if math.isfinite(metrics[name]) else None for name in sorted(metrics)
    }
    write_json(Path(args.output_dir) / f"{split}_results.json", metrics)
    if args.metrics_file and split != "train":
        write_json(args.metrics_file, metrics)
    for name, value in metrics.items():
        print(f"{name} = {'undefined' if value is None else f'{value:.6g}'}")


def push_to_hub(args) -> None:
    """Upload the output folder without `runs/`, where `push_to_hub` asks for it.

    Raises:
        InputError: the upload failed; the output folder is complete.
    """
    if not args.push_to_hub:
        return
    from huggingface_hub import HfApi

    api = HfApi(token=args.hub_token or args.token)
    name = args.hub_model_id or Path(args.output_dir).resolve().name
    try:
        repository = api.create_repo(name, exist_ok=True).repo_id
        api.upload_folder(
            repo_id=repository, folder_path=args.output_dir, ignore_patterns=["runs/*"]
        )
    except Exception as error:  # of the hub, of HTTP, of files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--push_to_hub to {name} failed ({reason}); {args.output_dir} is whole, only the "
            "upload is missing"
        ) from None
