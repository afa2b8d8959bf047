"""What every script has around its own data, model and metric, in the order in which it runs."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

from stages.core.errors import InputError
from stages.core.files import write_json
from stages.core.versions import check_versions
from stages.data.batching import Batches
from stages.data.hub import input_file
from stages.training.best import Evaluation
from stages.training.devices import use_compile_cache, use_cublas
from stages.training.fingerprint import run_inputs
from stages.training.loop import fit
from stages.training.model_card import write_model_card
from stages.training.results import write_results
from stages.training.resume import ResumeStore


def start(args) -> None:
    """Ready the process: logging, tokenizer threads, compile cache; refuse a full output folder.

    A task that is switched off ends here, with exit status 0 and empty outputs. A stage of the
    pipeline is refused where `versions.json` names other versions than those installed.
    """
    if not args.enabled:
        leave_empty(args)
        raise SystemExit(0)
    if "DVC_STAGE" in os.environ:  # set by DVC for the commands of its stages
        check_versions()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("jax", "httpx", "huggingface_hub", "datasets", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if args.preprocessing_num_workers:
        os.environ["RAYON_NUM_THREADS"] = str(args.preprocessing_num_workers)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    use_cublas()
    use_compile_cache()
    output = Path(args.output_dir)
    if output.exists() and not output.is_dir():
        raise InputError(f"--output_dir {output} is a file; name a folder")
    # What a training that was cut off left of itself is no reason to refuse: it goes on from there.
    if (
        args.do_train
        and not args.overwrite_output_dir
        and output.is_dir()
        and any(path.name != "runs" for path in output.iterdir())
    ):
        raise InputError(
            f"--output_dir {output} is not empty; add --overwrite_output_dir, or name another"
        )


def leave_empty(args) -> None:
    """Write what the pipeline expects of a stage, with nothing in it; the gate knows why."""
    for folder in filter(None, (args.output_dir, args.plots_dir)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    if args.metrics_file:
        write_json(args.metrics_file, {})
    print("switched off (`enabled: false`): nothing done")


class Input(NamedTuple):
    """A file of rows, and how many of them are wanted (None: all)."""

    path: str
    limit: int | None


def inputs(args, *, held_out: bool = False) -> dict[str, Input]:
    """What this call reads of `train`, `validation` and `test`, and nothing else.

    Training looks at the validation file too, where one is given. With `held_out` validation is a
    part of the training file. A split of a hub data set is fetched to a file.
    """
    train = ("train_file", "train_split_name")
    validation = train if held_out else ("validation_file", "eval_split_name")
    watched = held_out or bool(args.validation_file)
    wanted = {
        "train": (args.do_train, *train, args.max_train_samples),
        "validation": (
            args.do_eval or (args.do_train and watched),
            *validation,
            args.max_eval_samples,
        ),
        "test": (args.do_predict, "test_file", "test_split_name", args.max_predict_samples),
    }
    return {
        name: Input(input_file(args, file, split), limit)
        for name, (read, file, split, limit) in wanted.items()
        if read
    }


def make_batches(
    args, columns: dict, per_device: int, *, padding: dict[str, int], **layout
) -> Batches:
    """Batches over all devices, in lengths, order and seed as the arguments say.

    Args:
        args: the task's arguments.
        columns, padding: as in `Batches`.
        per_device: rows that each device gets of a batch.
        layout: further arguments of `Batches`.
    """
    return Batches(
        columns,
        padding=padding,
        batch_size=per_device * jax.device_count(),
        buckets=args.length_buckets,
        saving=args.length_bucket_saving,
        seed=args.seed,
        shuffle=not args.keep_row_order,
        devices=jax.device_count(),
        **layout,
    )


def train_model(
    args,
    model,
    loss,
    batches: Batches,
    save: Callable[[], None],
    *,
    found: dict[str, Input],
    samples: int,
    **fitting,
) -> Evaluation | None:
    """Train, save the model with its card and write what `fit` tells.

    Args:
        args: the task's arguments.
        model, loss, batches: as in `stages.training.loop.fit`.
        save: writes the model's folder; also called on the way.
        found: what `inputs` gave.
        samples: rows of the training data, for the results.
        fitting: further arguments of `fit`.

    Returns:
        The evaluation of the weights as they are now, if there is one.
    """
    resume = ResumeStore(
        Path(args.run_dir or f"{args.output_dir}/runs") / "checkpoints",
        run_inputs(args, found),
        args.checkpoint_seconds,
    )

    def save_or_tell() -> None:
        try:
            save()
        except OSError:
            resume.print_hint("the weights are not written")
            raise

    trained = fit(model, loss, batches, args, save=save_or_tell, resume=resume, **fitting)
    save_or_tell()
    write_results(args, "train", {**trained.results, "train_samples": samples})
    write_model_card(
        args,
        model,
        files={name: found[name].path for name in ("train", "validation") if name in found},
        rows=samples,
        results=trained.results,
        validation=trained.evaluation.metrics if trained.evaluation else None,
    )
    resume.clear()
    return trained.evaluation
