"""The arguments that every task takes."""

from typing import Annotated, Literal, Self, get_args

from pydantic import AliasChoices, Field, model_validator

from stages.core.errors import InputError
from stages.core.schema import Arguments

LrSchedule = Literal[
    "linear", "cosine", "polynomial", "inverse_sqrt", "constant", "constant_with_warmup"
]
LR_SCHEDULES = get_args(LrSchedule)
# Left out of logs, cards and checkpoints.
Secret = Annotated[str | None, Field(exclude=True, repr=False)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Where the polynomial schedule ends, as in transformers.
POLYNOMIAL_END = 1e-7
SHUFFLE_BUFFER_SIZE = 10_000


class CommonArguments(Arguments):
    """Model, data, optimisation and output of one command; each task's class adds its own.

    Raises:
        InputError: on construction, where values contradict each other.
    """

    enabled: bool = Field(
        True, description="false switches the task off: its stages leave empty outputs"
    )

    model_name_or_path: str | None = Field(
        None, description="folder or hub id of the checkpoint to start from"
    )
    model_revision: str | None = Field(
        None, description="commit, tag or branch of the hub checkpoint"
    )
    config_name: str | None = Field(None, description="folder or hub id of another configuration")
    tokenizer_name: str | None = Field(None, description="folder or hub id of another tokenizer")
    from_scratch: bool = Field(
        False, description="start from new weights: only configuration and tokenizer are read"
    )
    cache_dir: str | None = Field(None, description="where files from the hub are kept")
    token: str | None = Field(
        None,
        exclude=True,
        repr=False,
        description="access token for the hub (better HF_TOKEN: a list of processes shows flags)",
    )
    trust_remote_code: bool = Field(
        False, description="accepted for compatibility; code from a hub is never run"
    )

    dataset_name: str | None = Field(
        None, description="data set on the hub, or a folder in its form"
    )
    dataset_config_name: str | None = Field(
        None,
        validation_alias=AliasChoices("dataset_config_name", "dataset_config"),
        description="configuration of the data set",
    )
    dataset_revision: str | None = Field(None, description="commit, tag or branch of the data set")
    train_split_name: str = Field("train", description="split of the data set to train on")
    eval_split_name: str = Field("validation", description="split of the data set to evaluate on")
    test_split_name: str = Field("test", description="split of the data set to predict")
    train_file: str | None = Field(None, description="file to train on")
    validation_file: str | None = Field(None, description="file to evaluate on")
    test_file: str | None = Field(None, description="file to predict")
    streaming: bool = Field(
        False,
        description=(
            "read the training rows as they are needed, so that they may be more than the disk "
            "holds: shards of Parquet or JSON lines, which train_file names by a folder, a "
            "pattern or an address, or a data set on the hub; needs max_steps"
        ),
    )
    shuffle_buffer_size: int | None = Field(
        None,
        ge=1,
        description=(
            "rows of a stream that are shuffled among themselves "
            f"(default {SHUFFLE_BUFFER_SIZE:,}); up to three such blocks are in memory"
        ),
    )
    data_license: str | None = Field(
        None,
        description="licence of the training data, for the model's card (an SPDX name: CC-BY-4.0)",
    )
    overwrite_cache: bool = Field(
        False, description="fetch the data set from the hub again, and make its tokens anew"
    )
    preprocessing_num_workers: int | None = Field(
        None, ge=1, description="threads of the tokenizer"
    )
    max_train_samples: int | None = Field(
        None, ge=1, description="rows to train on at most: the first ones"
    )
    max_eval_samples: int | None = Field(
        None, ge=1, description="rows to evaluate on at most: the first ones"
    )
    max_predict_samples: int | None = Field(
        None, ge=1, description="rows to predict at most: the first ones"
    )

    output_dir: str | None = Field(
        None, description="folder for the model, the results and the predictions"
    )
    overwrite_output_dir: bool = Field(False, description="train into a folder that is not empty")
    metrics_file: str | None = Field(
        None, description="also write the evaluation's metrics to this file"
    )
    plots_dir: str | None = Field(
        None, description="write the curves to this folder (default: run_dir)"
    )
    run_dir: str | None = Field(
        None, description="folder for times and TensorBoard events (default: output_dir/runs)"
    )
    do_train: bool = Field(False, description="train")
    do_eval: bool = Field(False, description="evaluate on the validation file")
    do_predict: bool = Field(False, description="predict the test file")

    per_device_train_batch_size: int = Field(
        8, ge=1, description="rows a device in a training step"
    )
    per_device_eval_batch_size: int = Field(
        8, ge=1, description="rows a device in an evaluation step"
    )
    gradient_accumulation_steps: int = Field(
        1,
        ge=1,
        description=(
            "batches that make one update: it equals that of one large batch, in the memory of a "
            "small one; every other number of steps counts updates"
        ),
    )
    keep_row_order: bool = Field(
        False,
        description=(
            "train on the rows in the file's order instead of shuffling them: rows that differ in "
            "one point then share a batch, and what they share cancels out of the gradient"
        ),
    )
    length_buckets: int = Field(4, ge=1, le=64, description="different lengths to pad to, at most")
    length_bucket_saving: int = Field(
        1000,
        ge=0,
        description=(
            "padded tokens that a further length must save in a pass over the rows: a program is "
            "compiled for each, which takes seconds"
        ),
    )
    learning_rate: float = Field(5e-5, gt=0, description="peak learning rate")
    lr_scheduler_type: LrSchedule = Field(
        "linear", description="course of the learning rate after the warm-up"
    )
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of AdamW")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's first decay rate")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's second decay rate")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    adafactor: bool = Field(
        False,
        description=(
            "Adafactor instead of AdamW, without momentum or weight decay; learning_rate is then "
            "relative to the size of each parameter: 1e-3 is usual"
        ),
    )
    muon: bool = Field(
        False,
        description=(
            "Muon for the matrices in layers, AdamW for the rest, at one learning rate; two or "
            "three times that of AdamW alone is usual"
        ),
    )
    max_grad_norm: float | None = Field(
        None,
        ge=0,
        description=(
            "clip gradients to this global norm; 0 leaves them (default 1; with adafactor 0, since "
            "it clips its own updates)"
        ),
    )
    num_train_epochs: float = Field(3.0, gt=0, description="passes over the training rows")
    max_steps: int | None = Field(
        None, ge=1, description="stop after this many steps, whatever the epochs"
    )
    logging_steps: int = Field(500, ge=1, description="steps from one report to the next")
    save_steps: int = Field(500, ge=1, description="steps from one save of the weights to the next")
    checkpoint_seconds: float = Field(
        300,
        ge=0,
        description=(
            "seconds from one save of the training's state to the next, below run_dir: the same "
            "command continues from there after an interruption"
        ),
    )
    eval_steps: int | None = Field(
        None,
        ge=1,
        description="steps from one evaluation while training to the next (default: each epoch)",
    )
    load_best_model_at_end: bool = Field(
        False,
        description=(
            "end with the weights of the best evaluation made while training, not the last ones"
        ),
    )
    metric_for_best_model: str | None = Field(
        None,
        description=(
            "metric that says which evaluation is best, with or without `eval_` (default loss)"
        ),
    )
    greater_is_better: bool | None = Field(
        None, description="whether more of that metric is better (default: by its name)"
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="stop after this many evaluations in a row without a better one"
    )
    early_stopping_threshold: float = Field(
        0.0,
        ge=0,
        description="a smaller improvement than this does not count for early stopping",
    )
    seed: Seed = Field(42, description="seed of weights, order, masks and dropout")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="arithmetic of the model; weights, losses and optimiser stay in float32",
    )
    cpu_threads: int | None = Field(
        None,
        ge=1,
        description=(
            "threads that share each operation on a CPU (default: one a core); one is the best "
            "use of the cores where several small trainings run side by side, and changes the "
            "last digits"
        ),
    )
    gradient_checkpointing: bool = Field(
        False,
        description="compute each layer again in the backward pass instead of keeping its values",
    )

    push_to_hub: bool = Field(False, description="upload output_dir to the hub at the end")
    hub_model_id: str | None = Field(
        None, description="repository to upload to (default: output_dir's name)"
    )
    hub_token: str | None = Field(
        None, exclude=True, repr=False, description="access token for the upload"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.fill_defaults()
        if self.trust_remote_code:
            print("--trust_remote_code: taken, but code from a hub is never run here")
        if not (self.do_train or self.do_eval or self.do_predict):
            raise InputError("nothing to do; add --do_train, --do_eval or --do_predict")
        if not self.output_dir:
            raise InputError("--output_dir is missing; name the folder to write to")
        self.check_start()
        for mode, file, split in (
            (self.do_train, "train_file", "training"),
            (self.do_eval, "validation_file", "evaluation"),
            (self.do_predict, "test_file", "prediction"),
        ):
            if mode and not (self.has_file(file) or self.dataset_name):
                raise InputError(f"--{file} is missing: {split} was asked for (or --dataset_name)")
        if self.dataset_name and (self.train_file or self.validation_file or self.test_file):
            raise InputError("--dataset_name and files exclude each other; give one of the two")
        if (self.hub_model_id or self.hub_token) and not self.push_to_hub:
            raise InputError("--hub_model_id and --hub_token need --push_to_hub")
        self._check_streaming()
        self._check_optimizer()
        self._check_selection()
        return self

    def _check_streaming(self):
        if not self.streaming:
            if self.shuffle_buffer_size is not None:
                raise InputError("--shuffle_buffer_size needs --streaming")
            return
        if not self.max_steps:
            raise InputError("--streaming needs --max_steps: how long a stream is is not known")
        for name in ("num_train_epochs", "max_train_samples"):
            if name in self.model_fields_set and getattr(self, name) is not None:
                raise InputError(
                    f"--{name} with --streaming: only --max_steps says when to stop; leave it out"
                )
        for name in ("load_best_model_at_end", "early_stopping_patience"):
            if getattr(self, name) and not self.eval_steps:
                raise InputError(
                    f"--{name} with --streaming needs --eval_steps, as no pass ends by itself"
                )

    def _check_optimizer(self):
        if self.dtype == "float16":
            raise InputError(
                "--dtype float16 is not offered: small gradients vanish in it, and losses are not "
                "scaled here; use bfloat16, which has the range of float32"
            )
        if self.adafactor:
            if self.muon:
                raise InputError("--muon with --adafactor: choose one of them")
            for name in ("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"):
                if getattr(self, name) != CommonArguments.model_fields[name].default:
                    raise InputError(f"--{name} belongs to AdamW; leave it out with --adafactor")
        if self.lr_scheduler_type == "constant" and self.warmup_steps:
            raise InputError(
                "--warmup_steps with --lr_scheduler_type constant: that one has no warm-up; "
                "use constant_with_warmup"
            )
        if self.lr_scheduler_type == "polynomial" and self.learning_rate <= POLYNOMIAL_END:
            raise InputError(
                f"--learning_rate {self.learning_rate:g} with --lr_scheduler_type polynomial: "
                f"that one ends at {POLYNOMIAL_END:g}; give more, or use linear"
            )

    def _check_selection(self):
        selecting = self.load_best_model_at_end or self.early_stopping_patience is not None
        for name in ("metric_for_best_model", "greater_is_better"):
            if getattr(self, name) is not None and not selecting:
                raise InputError(
                    f"--{name} needs --load_best_model_at_end or --early_stopping_patience"
                )
        if self.early_stopping_threshold and self.early_stopping_patience is None:
            raise InputError("--early_stopping_threshold needs --early_stopping_patience")
        if self.do_train and selecting and not (self.validation_file or self.do_eval):
            name = "load_best_model_at_end"
            if not self.load_best_model_at_end:
                name = "early_stopping_patience"
            raise InputError(
                f"--{name} needs --validation_file (or --dataset_name with --do_eval) to choose by"
            )

    def fill_defaults(self) -> None:
        """Set what the other arguments imply, before they are checked; nothing here."""

    def check_start(self) -> None:
        """Refuse arguments that name neither a checkpoint nor what new weights are made from."""
        if not (self.model_name_or_path or (self.config_name and self.tokenizer_name)):
            raise InputError(
                "--model_name_or_path is missing; name a checkpoint, or --config_name and "
                "--tokenizer_name to start from new weights"
            )

    def has_file(self, name: str) -> bool:
        """Whether there is a file for `train_file`, `validation_file` or `test_file`."""
        return bool(getattr(self, name))

    @property
    def new_weights(self) -> bool:
        """Whether the model starts from new weights rather than from a checkpoint's."""
        return self.from_scratch or not self.model_name_or_path

    @property
    def hub_options(self) -> dict:
        """Arguments of all functions that may download a model from the hub."""
        return {"revision": self.model_revision, "cache_dir": self.cache_dir, "token": self.token}

    @property
    def optimizer_options(self) -> dict:
        """Arguments of `stages.training.optimizer.make_optimizer`."""
        names = ("adafactor", "muon", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay",
                 "max_grad_norm")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @property
    def batch_options(self) -> dict:
        """Arguments of `stages.data.batching.Batches`."""
        return {
            "buckets": self.length_buckets,
            "saving": self.length_bucket_saving,
            "seed": self.seed,
            "shuffle": not self.keep_row_order,
        }

    def as_dict(self) -> dict:
        """The values as plain data, without secrets."""
        return self.model_dump()
