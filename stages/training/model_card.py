"""The model card: `README.md` in the model's folder, in the hub's form.

It lists data, metrics, parameters and versions. It names no time and no machine, so that the same
training gives the same bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from stages.core.files import write_text
from stages.core.text_table import markdown_table
from stages.core.versions import FRAMEWORKS, installed_versions
from stages.training.arguments import CommonArguments
from stages.training.fingerprint import NO_EFFECT_ON_WEIGHTS
from stages.training.usage import usage

# The hub's pipeline tag for a model with each head.
PIPELINE_TAGS = {
    "masked_lm": "fill-mask",
    "sequence_classification": "text-classification",
    "token_classification": "token-classification",
    "question_answering": "question-answering",
    "causal_lm": "text-generation",
    "seq2seq_lm": None,
    "speech_seq2seq": "automatic-speech-recognition",
}
# Named elsewhere on the card, or without effect on the model.
NOT_PARAMETERS = NO_EFFECT_ON_WEIGHTS | {
    "enabled", "model_name_or_path", "model_revision", "config_name", "tokenizer_name", "do_train",
    "train_file", "validation_file", "dataset_name", "dataset_config_name", "dataset_revision",
    "logging_steps",
}  # fmt: skip


def write_model_card(
    args: CommonArguments,
    model,
    *processors,
    kept: Mapping[str, Any],
    files: dict[str, tuple[str, str]],
    rows: int,
    results: dict,
    validation: dict | None,
) -> None:
    """Write `README.md` into the folder of a saved model.

    Args:
        args: the task's arguments; those that differ from their defaults are listed.
        model: its head decides the pipeline tag.
        processors: tokenizer and feature extractor, which the lines to copy name.
        kept: the arguments that the folder keeps.
        files: `train`, and `validation` if there is one, to path and SHA-256.
        rows: number of training rows.
        results: of the training, as in `train_results.json`.
        validation: metrics of the saved weights on the validation file, if there is one.
    """
    folder = Path(args.output_dir)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    architecture = config["architectures"][0]
    base = args.model_name_or_path
    on_hub = base and not args.new_weights and not Path(base).exists()
    tag = PIPELINE_TAGS[model.head_name]
    front = ModelCardData(
        library_name="transformers",
        pipeline_tag=tag,
        base_model=base if on_hub else None,
        tags=["flaxmill", "jax", "flax"],
    ).to_yaml()
    versions = sorted(installed_versions(FRAMEWORKS).items())
    counts = {"train": rows, "validation": (validation or {}).get("eval_samples", "")}
    parts = [
        f"---\n{front}\n---\n# {folder.name}: {architecture} for {args.task_folder()}",
        "Trained by flaxmill in JAX and Flax. The weights are "
        f"under PyTorch's names: `transformers.{architecture}.from_pretrained` opens the folder.",
        f"Started from {_start(args)}.",
        usage(args, kept, model.head_name, tag, processors),
        "## Data\n" + markdown_table(
            ["split", "file", "rows", "SHA-256"],
            [[name, _source(args, name, path), counts[name], f"`{checksum}`"]
             for name, (path, checksum) in files.items()],
        ),
        f"Licence of the data: {args.data_license or 'none is stated; `data_license` states one'}.",
        "## Metrics\n" + markdown_table(
            ["metric", "value"],
            [*_numbers(results, "train_samples"), *_numbers(validation or {}, "eval_samples")],
        ),
        "`eval_` is on the validation file. Test data are for the evaluation of the finished "
        "model and were not read here." if validation else "Nothing was evaluated in training.",
        "## Parameters\nThose that differ from the defaults.\n" + markdown_table(
            ["parameter", "value", "default"], _changed(args)
        ),
        "## Versions\n" + markdown_table(["package", "version"], versions),
    ]  # fmt: skip
    write_text(folder / "README.md", "\n\n".join(parts) + "\n")


def _start(args: CommonArguments) -> str:
    if args.new_weights:
        name = args.config_name or args.model_name_or_path
        return f"new weights (configuration `{name}`, seed {args.seed})"
    revision = f" at revision `{args.model_revision}`" if args.model_revision else ""
    return f"the weights of `{args.model_name_or_path}`{revision}"


def _source(args: CommonArguments, split: str, path: str) -> str:
    streamed = ""
    if args.streaming and split == "train":
        streamed = " (a stream; the checksum is of its files' names and sizes)"
    if not args.dataset_name:
        return f"`{path}`{streamed}"
    name = args.train_split_name if split == "train" else args.eval_split_name
    more = [args.dataset_config_name, args.dataset_revision, name]
    return " ".join(f"`{part}`" for part in [args.dataset_name, *more] if part) + streamed


def _numbers(metrics: dict, *without: str) -> list[list]:
    return [
        [name, f"{value:.6g}"] for name, value in sorted(metrics.items()) if name not in without
    ]


def _changed(args: CommonArguments) -> list[list]:
    defaults = {name: field.default for name, field in type(args).model_fields.items()}
    return [
        [name, value, "" if defaults[name] is None else defaults[name]]
        for name, value in sorted(args.as_dict().items())
        if name not in NOT_PARAMETERS and value != defaults[name]
    ]
