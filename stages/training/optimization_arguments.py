"""The arguments of how every task is trained: batches, optimiser, steps, arithmetic."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from stages.core.errors import InputError
from stages.core.schema import FOR_PREDICTION, Arguments

LrSchedule = Literal[
    "linear", "cosine", "polynomial", "inverse_sqrt", "constant", "constant_with_warmup"
]
LR_SCHEDULES = get_args(LrSchedule)
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Where the polynomial schedule ends, as in transformers.
POLYNOMIAL_END = 1e-7


class OptimizationArguments(Arguments):
    """Batches, optimisation and arithmetic of one command."""

    group: ClassVar[str] = "training"
    common: ClassVar[tuple[str, ...]] = (
        "learning_rate",
        "num_train_epochs",
        "max_steps",
        "warmup_steps",
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "eval_steps",
        "logging_steps",
        "seed",
    )

    per_device_train_batch_size: int = Field(
        8, ge=1, description="rows a device in a training step"
    )
    per_device_eval_batch_size: int = Field(
        8, ge=1, json_schema_extra=FOR_PREDICTION, description="rows a device in an evaluation step"
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
    length_buckets: int = Field(
        4,
        ge=1,
        le=64,
        json_schema_extra=FOR_PREDICTION,
        description="different lengths to pad to, at most",
    )
    length_bucket_saving: int = Field(
        1000,
        ge=0,
        json_schema_extra=FOR_PREDICTION,
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
        json_schema_extra=FOR_PREDICTION,
        description="arithmetic of the model; weights, losses and optimiser stay in float32",
    )
    cpu_threads: int | None = Field(
        None,
        ge=1,
        description=(
            "threads that share each operation on a CPU (default: one a core, with --portable one "
            "in all); one is the best use of the cores where several small trainings run side by "
            "side, and changes the last digits"
        ),
    )
    portable: bool = Field(
        False,
        json_schema_extra=FOR_PREDICTION,
        description=(
            "compute the same bytes on every x86-64 processor with AVX2, about 15 % slower; with "
            "float32 alone"
        ),
    )
    gradient_checkpointing: bool = Field(
        False,
        description="compute each layer again in the backward pass instead of keeping its values",
    )

    def check_optimizer(self) -> None:
        """Refuse settings that contradict each other, or the optimiser and its schedule."""
        if self.dtype == "float16":
            raise InputError(
                "--dtype float16 is not offered: small gradients vanish in it, and losses are not "
                "scaled here; use bfloat16, which has the range of float32"
            )
        if self.portable and self.dtype != "float32":
            raise InputError(
                f"--portable with --dtype {self.dtype}: the same bytes on every processor are "
                "promised of float32 alone; leave one of them out"
            )
        if self.adafactor:
            if self.muon:
                raise InputError("--muon with --adafactor: choose one of them")
            for name in ("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"):
                if getattr(self, name) != OptimizationArguments.model_fields[name].default:
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

    def check_steps(self, steps: int, why: str) -> None:
        """Refuse values that a training of `steps` steps cannot come to.

        Args:
            steps: of the whole training.
            why: what gives this number, for the message.
        """
        # The defaults of the other two are for long trainings, and do no harm in a short one.
        beyond = ["warmup_steps"] if self.warmup_steps >= steps and self.warmup_steps else []
        for name in ("eval_steps", "logging_steps"):
            if name in self.model_fields_set and (getattr(self, name) or 0) > steps:
                beyond.append(name)
        if beyond:
            given = " and ".join(f"--{name} is {getattr(self, name)}" for name in beyond)
            raise InputError(
                f"{given}, but the training has {steps:,} steps ({why}); give less"
                f"{' than that' if 'warmup_steps' in beyond else ''}, or train longer"
            )

    def check_batch(self, rows: int) -> None:
        """Refuse a training step of more rows than there are, where its size was chosen."""
        names = ("per_device_train_batch_size", "gradient_accumulation_steps")
        given = [name for name in names if name in self.model_fields_set]
        if given and self.per_device_train_batch_size * self.gradient_accumulation_steps > rows:
            listed = " and ".join(f"--{name} is {getattr(self, name)}" for name in given)
            raise InputError(
                f"{listed}, but there are {rows:,} rows to train on, and a step cannot have more; "
                "give less"
            )

    @property
    def optimizer_options(self) -> dict:
        """Arguments of `stages.training.optimizer.make_optimizer`."""
        names = ("adafactor", "muon", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay",
                 "max_grad_norm")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @property
    def training_batch_options(self) -> dict:
        """Arguments of `stages.training.batches.make_batches` for training alone."""
        return {"rows_per_device": self.per_device_train_batch_size}

    @property
    def batch_options(self) -> dict:
        """Arguments of `stages.data.batching.Batches`."""
        return {
            "buckets": self.length_buckets,
            "saving": self.length_bucket_saving,
            "seed": self.seed,
            "shuffle": not self.keep_row_order,
        }
