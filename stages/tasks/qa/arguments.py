"""Arguments of extractive question answering."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.core.errors import InputError
from stages.training.arguments import CommonArguments


@dataclass(kw_only=True)
class QaArguments(CommonArguments):
    """Flags of `run_qa`."""

    max_seq_length: int = flag(
        384, "tokens of a window: question, context, special ones", at_least=8
    )
    doc_stride: int = flag(128, "tokens that two windows of one context share", at_least=0)
    version_2_with_negative: bool = flag(False, "some questions have no answer")
    null_score_diff_threshold: float = flag(
        0.0, "answer nothing when the null score is ahead by more than this"
    )
    n_best_size: int = flag(20, "candidates kept for a question", at_least=1)
    max_answer_length: int = flag(30, "longest answer in tokens", at_least=1)

    def __post_init__(self):
        super().__post_init__()
        if self.doc_stride >= self.max_seq_length:
            raise InputError(
                f"--doc_stride {self.doc_stride} must be below --max_seq_length "
                f"{self.max_seq_length}"
            )
