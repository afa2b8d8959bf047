"""What all scripts do around their own data, loss and metric, in the order in which they run."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from flax import nnx

from stages.core.checksums import path_checksum
from stages.core.errors import InputError
from stages.core.files import write_json
from stages.core.versions import check_versions
from stages.data.batching import Batches, Columns, Shapes
from stages.data.cache import RowCache
from stages.data.columns import say_columns
from stages.data.find_shards import find_shards, hub_shards
from stages.data.hub import cache_folder, input_file
from stages.data.packing import PackedBatches
from stages.data.stream import RowStream, StreamBatches
from stages.data.tables import Table
from stages.models import loading, tokenizers
from stages.training.arguments import CommonArguments
from stages.training.best import Evaluation
from stages.training.devices import limit_threads, use_compile_cache, use_cublas
from stages.training.fingerprint import run_fingerprint
from stages.training.input_arguments import SHUFFLE_BUFFER_SIZE
from stages.training.kept_arguments import (
    arguments_to_keep,
    parse_arguments,
    source_columns_to_keep,
    write_kept,
)
from stages.training.loop import fit
from stages.training.model_card import write_model_card
from stages.training.plan import plan_training, write_plan
from stages.training.results import push_to_hub, write_results
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
    if args.cpu_threads:
        limit_threads(args.cpu_threads)
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


class Input(NamedTuple):
    """A file to read, and how many of its rows (None: all).

    path: the file, or the first block of a stream.
    stream: where the further blocks come from.
    """

    path: str | Table
    limit: int | None
    stream: RowStream | None = None

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.path if self.stream is None else self.stream.shards.name

    def checksum(self) -> str:
        """SHA-256 of the file, or of the names and sizes of a stream's files."""
        if self.stream is None:
            return path_checksum(self.path)
        return self.stream.shards.contents_digest()


class Inputs(NamedTuple):
    """The files that a command reads; None for those that it does not need."""

    train: Input | None
    validation: Input | None
    test: Input | None


def input_files(args: CommonArguments, *, held_out: bool = False) -> Inputs:
    """The files to train on, to evaluate on and to predict, as the flags ask for.

    Training reads the validation file too, if one is given. With `held_out` validation is a part
    of the training file. A split of a hub data set is downloaded to a file. A stream is opened, and
    its first block read.
    """
    train = ("train_file", "train_split_name")
    validation = train if held_out else ("validation_file", "eval_split_name")
    evaluates = args.do_eval or (args.do_train and (held_out or bool(args.validation_file)))
    wanted = (
        (args.do_train, *train, args.max_train_samples),
        (evaluates, *validation, args.max_eval_samples),
        (args.do_predict, "test_file", "test_split_name", args.max_predict_samples),
    )
    train, *others = (
        Input(input_file(args, file, split), limit)
        if needed and not (args.streaming and file == "train_file")
        else None
        for needed, file, split, limit in wanted
    )
    return Inputs(_open_stream(args) if args.streaming and args.do_train else train, *others)


def _open_stream(args: CommonArguments) -> Input:
    if args.dataset_name:
        shards = hub_shards(args, args.train_split_name)
    else:
        shards = find_shards(args.train_file, "train_file")
    stream = RowStream(shards, args.shuffle_buffer_size or SHUFFLE_BUFFER_SIZE)
    return Input(stream.first, None, stream)


def read_input(input: Input | None, reader: Callable, **options) -> Any:
    """`reader(path, limit=limit, **options)`, or None if there is no input.

    Of what has `columns`, which column of the file is what, they are printed.
    """
    if input is None:
        return None
    found = reader(input.path, limit=input.limit, **options)
    say_columns(input.name, getattr(found, "columns", {}))
    return found


def row_cache(args: CommonArguments) -> RowCache:
    """Where rows and tokens are kept, see `stages.data.cache`."""
    return RowCache(cache_folder(args), overwrite=args.overwrite_cache)


def load_tokenizer(
    args: CommonArguments, *, needs: tuple[str, ...] = ("pad",), word_lists: bool = False
):
    """The fast tokenizer of `tokenizer_name`, or of the model.

    Args:
        args: the task's arguments.
        needs, word_lists: as in `stages.models.tokenizers.load_tokenizer`.
    """
    name = args.tokenizer_name or args.model_name_or_path
    return tokenizers.load_tokenizer(name, needs=needs, word_lists=word_lists, **args.hub_options)


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


def make_batches(
    columns: Columns, rows_per_device: int, *, pack: bool = False, **options
) -> Batches:
    """`Batches` of `rows_per_device` rows for each device.

    Args:
        columns: as in `Batches`.
        rows_per_device: `per_device_train_batch_size` or `per_device_eval_batch_size`.
        pack: make `PackedBatches`.
        options: further arguments of `Batches`; scripts give `args.batch_options` among them.
    """
    devices = jax.device_count()
    kind = PackedBatches if pack else Batches
    return kind(columns, batch_size=rows_per_device * devices, devices=devices, **options)


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
            loading.save_model(args.output_dir, model, *processors)
            write_kept(args, kept, source_columns)
        except OSError:
            resume.print_hint("the weights are not written")
            raise

    trained = fit(model, loss, batches, args, save=save, resume=resume, **options)
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
        write_results(args, "eval", *(final_eval or evaluate()))
    if args.do_predict:
        write_results(args, "test", *predict())
    push_to_hub(args)
