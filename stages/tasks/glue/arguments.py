"""Arguments of text classification."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.training.arguments import CommonArguments

TASK_NAMES = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli")


@dataclass(kw_only=True)
class GlueArguments(CommonArguments):
    """Flags of `run_flax_glue`."""

    task_name: str | None = flag(None, "task of the GLUE benchmark", choices=TASK_NAMES)
    max_seq_length: int | None = flag(
        None, "longest row in tokens; longer ones are cut (default: the model's)", at_least=4
    )
    text_column_name: str | None = flag(None, "column of the sentence, or of the first of two")
    text_pair_column_name: str | None = flag(None, "column of the second sentence")
    label_column_name: str | None = flag(None, "column of the label")
    group_column_name: str | None = flag(None, "report accuracy for each value of this column too")

    def __post_init__(self):
        if self.task_name and not self.dataset_name and not self._has_files():
            self.dataset_name, self.dataset_config_name = "nyu-mll/glue", self.task_name
        super().__post_init__()

    def _has_files(self) -> bool:
        return bool(self.train_file or self.validation_file or self.test_file)

    def no_mode_given(self):
        """The reference command names no mode: it trains and evaluates."""
        self.do_train = self.do_eval = True
