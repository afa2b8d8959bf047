"""The arguments that every task takes."""

from dataclasses import dataclass, fields

from stages.core.arguments import flag
from stages.core.errors import InputError

LR_SCHEDULES = (
    "linear", "cosine", "polynomial", "inverse_sqrt", "constant", "constant_with_warmup"
)  # fmt: skip
# Where the polynomial schedule ends, as in transformers.
POLYNOMIAL_END = 1e-7


@dataclass(kw_only=True)
class CommonArguments:
    """Model, data, optimisation and output of one command; each task's class adds its own.

    Raises:
        InputError: on construction, where values contradict each other or cannot be had.
    """

    enabled: bool = flag(True, "false switches the task off: its stages leave empty outputs")

    model_name_or_path: str | None = flag(None, "folder or hub id of the checkpoint to start from")
    model_revision: str | None = flag(None, "commit, tag or branch of the hub checkpoint")
    config_name: str | None = flag(None, "folder or hub id of another configuration")
    tokenizer_name: str | None = flag(None, "folder or hub id of another tokenizer")
    from_scratch: bool = flag(
        False, "start from new weights: only configuration and tokenizer are read"
    )
    cache_dir: str | None = flag(None, "where files from the hub are kept")
    token: str | None = flag(None, "access token for the hub")
    trust_remote_code: bool = flag(False, "taken for compatibility; code from a hub is never run")

    dataset_name: str | None = flag(None, "data set on the hub, or a folder in its form")
    dataset_config_name: str | None = flag(
        None, "configuration of the data set", alias="dataset_config"
    )
    dataset_revision: str | None = flag(None, "commit, tag or branch of the data set")
    train_split_name: str = flag("train", "split of the data set to train on")
    eval_split_name: str = flag("validation", "split of the data set to evaluate on")
    test_split_name: str = flag("test", "split of the data set to predict")
    train_file: str | None = flag(None, "file to train on")
    validation_file: str | None = flag(None, "file to evaluate on")
    test_file: str | None = flag(None, "file to predict")
    data_license: str | None = flag(
        None, "licence of the training data, for the model's card (an SPDX name: CC-BY-4.0)"
    )
    overwrite_cache: bool = flag(False, "fetch the data set from the hub again")
    preprocessing_num_workers: int | None = flag(None, "threads of the tokenizer", at_least=1)
    max_train_samples: int | None = flag(None, "train on the first so many rows", at_least=1)
    max_eval_samples: int | None = flag(None, "evaluate on the first so many rows", at_least=1)
    max_predict_samples: int | None = flag(None, "predict the first so many rows", at_least=1)

    output_dir: str | None = flag(None, "folder for the model, the results and the predictions")
    overwrite_output_dir: bool = flag(False, "train into a folder that is not empty")
    metrics_file: str | None = flag(None, "also write the evaluation's metrics to this file")
    plots_dir: str | None = flag(None, "write the curves to this folder (default: run_dir)")
    run_dir: str | None = flag(
        None, "folder for times and TensorBoard events (default: output_dir/runs)"
    )
    do_train: bool = flag(False, "train")
    do_eval: bool = flag(False, "evaluate on the validation file")
    do_predict: bool = flag(False, "predict the test file")

    per_device_train_batch_size: int = flag(8, "rows a device in a training step", at_least=1)
    per_device_eval_batch_size: int = flag(8, "rows a device in an evaluation step", at_least=1)
    gradient_accumulation_steps: int = flag(
        1,
        "train on so many times the rows at once, a part after the other: the update is that of "
        "one large batch, in the memory of a small one; steps are updates everywhere",
        at_least=1,
    )
    keep_row_order: bool = flag(
        False,
        "train on the rows in the file's order instead of shuffling them: rows that differ in one "
        "point then share a batch, and what they share cancels out of the gradient",
    )
    length_buckets: int = flag(4, "at most so many lengths to pad to", at_least=1, at_most=64)
    length_bucket_saving: int = flag(
        1000,
        "padded tokens that a further length must save in a pass over the rows: a program is "
        "compiled for each, which takes seconds",
        at_least=0,
    )
    learning_rate: float = flag(5e-5, "peak learning rate", above=0)
    lr_scheduler_type: str = flag(
        "linear", "course of the learning rate after the warm-up", choices=LR_SCHEDULES
    )
    warmup_steps: int = flag(0, "steps of linear warm-up", at_least=0)
    weight_decay: float = flag(0.0, "decoupled weight decay of AdamW", at_least=0)
    adam_beta1: float = flag(0.9, "AdamW's first decay rate", at_least=0, below=1)
    adam_beta2: float = flag(0.999, "AdamW's second decay rate", at_least=0, below=1)
    adam_epsilon: float = flag(1e-8, "AdamW's epsilon", above=0)
    adafactor: bool = flag(
        False,
        "Adafactor instead of AdamW, without momentum or weight decay; learning_rate is then "
        "relative to the size of each parameter: 1e-3 is usual",
    )
    max_grad_norm: float | None = flag(
        None,
        "clip gradients to this global norm; 0 leaves them (default 1; with adafactor 0, since it "
        "clips its own updates)",
        at_least=0,
    )
    num_train_epochs: float = flag(3.0, "passes over the training rows", above=0)
    max_steps: int | None = flag(None, "stop after so many steps, whatever the epochs", at_least=1)
    logging_steps: int = flag(500, "report every so many steps", at_least=1)
    save_steps: int = flag(500, "save the weights every so many steps", at_least=1)
    checkpoint_seconds: float = flag(
        300,
        "keep the state of the training every so many seconds, below run_dir: the same command "
        "goes on from there if it was cut off",
        at_least=0,
    )
    eval_steps: int | None = flag(
        None, "evaluate every so many steps while training (default: each epoch)", at_least=1
    )
    load_best_model_at_end: bool = flag(
        False, "end with the weights of the best evaluation made while training, not the last ones"
    )
    metric_for_best_model: str | None = flag(
        None, "metric that says which evaluation is best, with or without `eval_` (default loss)"
    )
    greater_is_better: bool | None = flag(
        None, "whether more of that metric is better (default: by its name)"
    )
    early_stopping_patience: int | None = flag(
        None, "stop after so many evaluations in a row without a better one", at_least=1
    )
    early_stopping_threshold: float = flag(
        0.0, "what is not better by more than this is not better to early stopping", at_least=0
    )
    seed: int = flag(42, "seed of weights, order, masks and dropout", at_least=0, at_most=2**31 - 1)
    dtype: str = flag(
        "float32",
        "arithmetic of the model; weights, losses and optimiser stay in float32",
        choices=("float32", "bfloat16", "float16"),
    )
    gradient_checkpointing: bool = flag(
        False, "compute each layer again in the backward pass instead of keeping its values"
    )

    push_to_hub: bool = flag(False, "upload output_dir to the hub at the end")
    hub_model_id: str | None = flag(None, "repository to upload to (default: output_dir's name)")
    hub_token: str | None = flag(None, "access token for the upload")

    def __post_init__(self):
        if self.trust_remote_code:
            print("--trust_remote_code: taken, but code from a hub is never run here")
        if not (self.do_train or self.do_eval or self.do_predict):
            self.no_mode_given()
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
        self._check_optimizer()
        self._check_selection()

    def _check_optimizer(self):
        if self.dtype == "float16":
            raise InputError(
                "--dtype float16 is not offered: small gradients vanish in it, and losses are not "
                "scaled here; use bfloat16, which has the range of float32"
            )
        if self.adafactor:
            for name in ("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"):
                if getattr(self, name) != getattr(CommonArguments, name):
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

    def check_start(self):
        """Refuse arguments that name neither a checkpoint nor what new weights are made from."""
        if not (self.model_name_or_path or (self.config_name and self.tokenizer_name)):
            raise InputError(
                "--model_name_or_path is missing; name a checkpoint, or --config_name and "
                "--tokenizer_name to start from new weights"
            )

    def has_file(self, name: str) -> bool:
        """Whether there is a file for `train_file`, `validation_file` or `test_file`."""
        return bool(getattr(self, name))

    def no_mode_given(self):
        """What to do when none of the `do_` flags is given: stop, and say what to add."""
        raise InputError("nothing to do; add --do_train, --do_eval or --do_predict")

    @property
    def new_weights(self) -> bool:
        """Whether the model starts from new weights rather than from a checkpoint's."""
        return self.from_scratch or not self.model_name_or_path

    def as_dict(self) -> dict:
        """The values as plain data, without secrets."""
        secrets = ("token", "hub_token")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in secrets}
