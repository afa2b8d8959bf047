"""The output of a command: results, metrics, predictions, and a copy on the hub."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.core.arguments import given_section
from stages.core.errors import InputError
from stages.core.files import write_json, write_json_lines, write_json_object
from stages.core.params import gated_metrics, read_params
from stages.training.arguments import CommonArguments

# The file of a split's predictions in the output folder, one JSON object a line.
PREDICTIONS = {"eval": "eval_predictions.json", "test": "predictions.json"}
# Of a task that writes several files.
OBJECT_PREFIXES = {"eval": "eval_", "test": "predict_"}

# What a task writes of its predictions, to be gone through once: rows; or, by the names of their
# files, the keys and values of JSON objects.
Predictions = Iterable[dict] | dict[str, Iterable[tuple[str, Any]]]


def prefixed(split: str, metrics: dict[str, float | int]) -> dict[str, float | int]:
    """`metrics` under the names that they have in the results: `eval_loss` for `loss`."""
    return {f"{split}_{name}": value for name, value in metrics.items()}


def write_results(
    args: CommonArguments,
    split: str,
    metrics: dict[str, float | int],
    predictions: Callable[[], Predictions] | None = None,
) -> None:
    """Write `{split}_results.json` into the output folder, and an evaluation to `metrics_file`.

    Args:
        args: the task's arguments.
        split: `train`, `eval` or `test`.
        metrics: names with their prefix (`eval_accuracy`) to plain numbers. One that is not
            finite (the correlation with a constant) becomes null, which fails every gate.
        predictions: gives the rows of the split's file of `PREDICTIONS`, or several objects by
            the names of their JSON files, which get the prefix of `OBJECT_PREFIXES`; each is
            written as it comes. None where the task writes none.
    """
    folder = Path(args.output_dir)
    content = [] if predictions is None else predictions()
    if isinstance(content, dict):
        for name, items in content.items():
            write_json_object(folder / f"{OBJECT_PREFIXES[split]}{name}.json", items)
    elif predictions is not None:
        write_json_lines(folder / PREDICTIONS[split], content)
    metrics = {
        name: metrics[name] if math.isfinite(metrics[name]) else None for name in sorted(metrics)
    }
    write_json(folder / f"{split}_results.json", metrics)
    if args.metrics_file and split != "train":
        write_json(args.metrics_file, metrics)
    for name, value in metrics.items():
        print(f"{name} = {'undefined' if value is None else f'{value:.6g}'}")


def judged_metrics(args: CommonArguments) -> Sequence[str]:
    """What the model is judged by: the gates of the task's section, else its main metrics."""
    dotted, file = given_section()
    gated = gated_metrics(read_params(file), dotted.rpartition(".")[2]) if dotted else []
    return gated or args.main_metrics


def push_to_hub(args: CommonArguments) -> None:
    """Upload the output folder without `runs/`, if `args.push_to_hub`.

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
