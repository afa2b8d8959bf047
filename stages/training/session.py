"""What all scripts do around their own data, loss and metric, in the order in which they run."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import jax
from flax import nnx

from stages.core.errors import InputError
from stages.core.files import write_json
from stages.core.progress import doing
from stages.core.versions import check_versions
from stages.data.batching import Batches
from stages.data.packing import PackedBatches
from stages.data.shapes import Shapes
from stages.data.stream import StreamBatches
from stages.data.tables import Table
from stages.models import loading, tokenizers
from stages.models.products import use_portable_products
from stages.training.arguments import CommonArguments
from stages.training.best import Evaluation
from stages.training.devices import (
    compute_portably,
    limit_threads,
    use_compile_cache,
    use_cublas,
)
from stages.training.fingerprint import run_fingerprint
from stages.training.inputs import Inputs
from stages.training.kept_arguments import (
    arguments_to_keep,
    parse_arguments,
    source_columns_to_keep,
    write_kept,
)
from stages.training.loop import fit
from stages.training.model_card import write_model_card
from stages.training.plan import plan_training, write_plan
from stages.training.results import judged_metrics, push_to_hub, write_results
from stages.training.resume import ResumeStore
from stages.training.step import Loss

Arguments = TypeVar("Arguments", bound=CommonArguments)


def start(arguments: type[Arguments], description: str) -> Arguments:
    """Parse the command line, and set up logging, threads, cuBLAS and the compilation cache.

    Evaluation and prediction take what the model's folder keeps as their defaults.
    A task with `enabled: false` ends here, with exit status 0 and empty outputs.

    Args:
        arguments: the task's class of arguments.
        description: for `--help`.

    Raises:
        InputError: an argument that cannot be used; an output folder that is not empty; in a stage
            of the pipeline, other versions than `versions.json` names.
    """
    args = parse_arguments(arguments, description)
    if not args.enabled:
        write_empty_outputs(args)
        raise SystemExit(0)
    if "DVC_STAGE" in os.environ:  # set by DVC for the commands of its stages
        check_versions()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("jax", "httpx", "huggingface_hub", "datasets", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if args.preprocessing_num_workers:
        os.environ["RAYON_NUM_THREADS"] = str(args.preprocessing_num_workers)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    use_portable_products(args.portable)
    if args.portable:
        compute_portably()
    if args.portable or args.cpu_threads:
        limit_threads(args.cpu_threads or 1)
    if args.plan_file:
        # A plan is the same on every machine: of one device, which it leaves to what runs.
        jax.config.update("jax_platforms", "cpu")
        return args
    use_cublas()
    use_compile_cache()
    output = Path(args.output_dir)
    if output.exists() and not output.is_dir():
        raise InputError(f"--output_dir {output} is a file; name a folder")
    if output.is_symlink() and not output.exists():
        raise InputError(f"--output_dir {output} is a link that leads nowhere; name a folder")
    # An interrupted training leaves `runs`, from which it resumes.
    if (
        args.do_train
        and not args.overwrite_output_dir
        and output.is_dir()
        and any(path.name != "runs" for path in output.iterdir())
    ):
        raise InputError(
            f"--output_dir {output} is not empty; add --overwrite_output_dir, or name another"
        )
    return args


def write_empty_outputs(args: CommonArguments) -> None:
    """Write the outputs that the pipeline expects of a stage, empty; the gate accepts them so."""
    for folder in filter(None, (args.output_dir, args.plots_dir)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for file in filter(None, (args.metrics_file, args.plan_file)):
        write_json(file, {})
    print("switched off (`enabled: false`): nothing done")


def load_tokenizer(
    args: CommonArguments, *, needs: tuple[str, ...] = ("pad",), word_lists: bool = False
):
    """The fast tokenizer of `tokenizer_name`, or of the model.

    Args:
        args: the task's arguments.
        needs, word_lists: as in `stages.models.tokenizers.load_tokenizer`.
    """
    name = args.tokenizer_name or args.model_name_or_path
    with doing(f"loading the tokenizer of {name}"):
        return tokenizers.load_tokenizer(
            name, needs=needs, word_lists=word_lists, **args.hub_options
        )


def load_model(args: CommonArguments, head: str, tokenizer, **options) -> nnx.Module:
    """The model with `head` that the arguments name.

    Args:
        args: the task's arguments.
        head: as in `stages.models.from_pretrained`.
        tokenizer: must not have more tokens than the model.
        options: `config`, `labels` and `regression` of `stages.models.loading.load_model`.

    Raises:
        InputError: a model that cannot be loaded, or without the head if nothing is trained.
    """
    with doing("waiting for JAX's devices"):
        jax.devices()
    with doing(f"loading {args.model_name_or_path or 'new weights'}"):
        model = loading.load_model(
            args.model_name_or_path,
            head,
            config_name=args.config_name,
            new_weights=args.new_weights,
            new_head=args.do_train,
            weights=not args.plan_file,
            seed=args.seed,
            dtype=args.dtype,
            gradient_checkpointing=args.gradient_checkpointing,
            **args.hub_options,
            **options,
        )
    tokenizers.check_vocabulary(tokenizer, model.config)
    return model


def train_model(
    args: CommonArguments,
    model: nnx.Module,
    loss: Loss,
    batches: Batches,
    *processors,
    inputs: Inputs,
    samples: int,
    columns: Mapping[str, str] | None = None,
    next_block: Callable[[Table, Shapes], Batches] | None = None,
    **options,
) -> Evaluation | None:
    """Train, save the model with its card, and write the results; or only plan that.

    Args:
        args: the task's arguments.
        model, loss, batches: as in `stages.training.loop.fit`.
        processors: tokenizer and feature extractor, saved with the model.
        inputs: the files that were read.
        samples: rows of the training data, for the results; those of a stream are counted.
        columns: argument to the column of these rows that was chosen for it, as far as prediction
            has to be given it.
        next_block: gives for the rows of a further block of a stream what `batches` is of the
            first one, in batches of given shapes.
        options: `evaluate` and `prepare` of `fit`.

    Returns:
        The evaluation of the final weights, if there is one.

    Raises:
        InputError: settings that do not fit the rows, see `plan_training`.
        SystemExit: a plan was asked for; with 0.
    """
    with doing("planning the training"):
        plan = plan_training(args, batches, loading.class_names(model))
    if args.plan_file:
        write_plan(args.plan_file, plan)
        raise SystemExit(0)
    if isinstance(batches, PackedBatches):
        print(batches)
    if inputs.train.stream is not None:
        batches = StreamBatches(inputs.train.stream, next_block, batches)
    files = {"train": (inputs.train.name, inputs.train.checksum())}
    if inputs.validation is not None:
        same = inputs.validation.path == inputs.train.path
        checksum = files["train"][1] if same else inputs.validation.checksum()
        files["validation"] = (inputs.validation.name, checksum)
    resume = ResumeStore(
        Path(args.run_dir or f"{args.output_dir}/runs") / "checkpoints",
        run_fingerprint(args, files["validation"][1] if "validation" in files else None),
        args.checkpoint_seconds,
    )

    kept = arguments_to_keep(args, columns or {})
    source_columns = source_columns_to_keep(args)

    def save() -> None:
        try:
            with doing(f"saving {args.output_dir}"):
                loading.save_model(args.output_dir, model, *processors)
                write_kept(args, kept, source_columns)
        except OSError:
            resume.print_hint("the weights are not written")
            raise

    trained = fit(
        model, loss, batches, args,
        save=save, resume=resume, judged_by=judged_metrics(args), **options,
    )  # fmt: skip
    save()
    results = {"train_samples": samples, **trained.results}
    write_results(args, "train", results)
    write_model_card(
        args,
        model,
        *processors,
        kept=kept,
        files=files,
        rows=results["train_samples"],
        results=results,
        validation=trained.evaluation.metrics if trained.evaluation else None,
    )
    resume.clear()
    return trained.evaluation


def finish(
    args: CommonArguments,
    *,
    evaluate: Callable[[], Evaluation] | None,
    predict: Callable[[], Evaluation],
    final_eval: Evaluation | None,
) -> None:
    """Evaluate and predict if the flags ask for it, write the results, and push to the hub.

    Args:
        args: the task's arguments.
        evaluate: evaluates on the validation file; None if there is none.
        predict: predicts the test file.
        final_eval: the evaluation that training ended with; then `evaluate` is not called.
    """
    if args.do_eval:
        with doing("evaluating"):
            found = final_eval or evaluate()
        write_results(args, "eval", *found)
    if args.do_predict:
        with doing("predicting"):
            found = predict()
        write_results(args, "test", *found)
    push_to_hub(args)
