"""Arguments of text classification."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.label_arguments import LabelArguments
from stages.tasks.pack_arguments import PackArguments

TaskName = Literal["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli"]


class GlueArguments(LabelArguments, PackArguments):
    """Flags of `run_flax_glue`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_accuracy",)

    task_name: TaskName | None = Field(
        None, json_schema_extra=FOR_EVALUATION, description="task of the GLUE benchmark"
    )
    max_seq_length: int | None = Field(
        None,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description="longest row in tokens; longer ones are cut (default: the model's)",
    )
    text_column_name: str | None = Field(
        None,
        json_schema_extra=FOR_PREDICTION,
        description="column of the sentence, or of the first of two",
    )
    text_pair_column_name: str | None = Field(
        None, json_schema_extra=FOR_PREDICTION, description="column of the second sentence"
    )
    label_column_name: str | None = Field(
        None, json_schema_extra=FOR_EVALUATION, description="column of the label"
    )
    group_column_name: str | None = Field(
        None, description="report accuracy for each value of this column too"
    )

    def fill_defaults(self) -> None:
        """`task_name` names a data set; the reference command names no mode: both are done."""
        if self.task_name and not self.dataset_name and not self._has_files():
            self.dataset_name, self.dataset_config_name = "nyu-mll/glue", self.task_name
        if not (self.do_train or self.do_eval or self.do_predict):
            self.do_train = self.do_eval = True

    def _has_files(self) -> bool:
        return bool(self.train_file or self.validation_file or self.test_file)

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """A sentence, or two."""
        pair = kept["text_pair_column_name"] is not None
        return ["The bridge was closed.", *(["Nobody could cross."] if pair else [])]
