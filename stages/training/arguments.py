"""The arguments that every task takes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from stages.core.errors import InputError
from stages.training.input_arguments import InputArguments
from stages.training.optimization_arguments import OptimizationArguments


# pydantic takes the fields of the last base first.
class CommonArguments(OptimizationArguments, InputArguments):
    """Model, data, optimisation and output of one command; each task's class adds its own.

    Raises:
        InputError: on construction, where values contradict each other.
    """

    group: ClassVar[str] = "running and saving"
    common: ClassVar[tuple[str, ...]] = (
        "do_train",
        "do_eval",
        "do_predict",
        "output_dir",
        "overwrite_output_dir",
    )
    # What an evaluation prints where no gate says what it is judged by; none are all. Those of the
    # registry, which no training imports: a ninth task would run all of them again.
    main_metrics: ClassVar[tuple[str, ...]] = ()

    enabled: bool = Field(
        True, description="false switches the task off: its stages leave empty outputs"
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
    plan_file: str | None = Field(
        None,
        description=(
            "train nothing: check data, labels, lengths and steps as a training would, and write "
            "to this file what it comes to"
        ),
    )
    do_train: bool = Field(False, description="train")
    do_eval: bool = Field(False, description="evaluate on the validation file")
    do_predict: bool = Field(False, description="predict the test file")
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
        if self.plan_file and not self.do_train:
            raise InputError("--plan_file needs --do_train: it is a training that is planned")
        if not (self.output_dir or self.plan_file):
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
        self.check_optimizer()
        self._check_selection()
        if self.do_train and self.max_steps:
            self.check_steps(self.max_steps, "--max_steps")
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

    @classmethod
    def task_folder(cls) -> str:
        """The name of the task, which is that of the class's folder in `stages.tasks`."""
        return cls.__module__.split(".")[-2]

    def has_file(self, name: str) -> bool:
        """Whether there is a file for `train_file`, `validation_file` or `test_file`."""
        return bool(getattr(self, name))

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """The texts of a row to predict, for the model's card.

        Args:
            kept: the arguments that the model's folder keeps.
            tokenizer: has the tokens that some texts hold.

        Returns:
            A sentence here; none where a row is no text.
        """
        return ["Ann Ray met Bo in Paris."]

    def as_dict(self) -> dict:
        """The values as plain data, without secrets."""
        return self.model_dump()
