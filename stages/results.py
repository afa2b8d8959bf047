"""What a command leaves behind: results, metrics, predictions, a copy on the hub."""

import json
import math
import os
from pathlib import Path

from stages.errors import InputError


def write_text(path: Path | str, content: str) -> None:
    """Write a whole file or none: to a temporary name first, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(content, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def write_json(path: Path | str, content) -> None:
    """`content` as indented JSON, written whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path | str, rows: list[dict]) -> None:
    """One JSON object a line, written whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def markdown_table(header: list[str], rows: list[list]) -> str:
    """A table as Markdown writes it, without the last line's end."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


# What the predictions of a split are called in the output folder.
PREDICTIONS = {"eval": "eval_predictions.json", "test": "predictions.json"}


def write_results(
    args, split: str, metrics: dict[str, float | int], rows: list[dict] | None = None
) -> None:
    """Write `{split}_results.json` into the output folder, and an evaluation to `metrics_file`.

    Args:
        args: the task's arguments.
        split: `train`, `eval` or `test`.
        metrics: names with their prefix (`eval_accuracy`) to plain numbers; one that is not
            finite (a correlation with what never changes) becomes null, which no gate passes.
        rows: what was predicted, one object a line of the split's file of `PREDICTIONS`; None
            where the task writes no such file.
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
    """Upload the output folder, without its runs, where `push_to_hub` asks for it."""
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
    except Exception as error:  # the hub's own errors, those of HTTP, those of files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--push_to_hub to {name} failed ({reason}); {args.output_dir} is whole, only the "
            "upload is missing"
        ) from None
