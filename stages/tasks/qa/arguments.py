"""Arguments of extractive question answering."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from stages.core.errors import InputError
from stages.core.schema import FOR_PREDICTION
from stages.tasks.pack_arguments import PackArguments


class QaArguments(PackArguments):
    """Flags of `run_qa`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_f1", "eval_HasAns_f1", "eval_NoAns_f1")

    max_seq_length: int = Field(
        384,
        ge=8,
        json_schema_extra=FOR_PREDICTION,
        description="tokens of a window: question, context, special ones",
    )
    doc_stride: int = Field(
        128,
        ge=0,
        json_schema_extra=FOR_PREDICTION,
        description="tokens that two windows of one context share",
    )
    version_2_with_negative: bool = Field(
        False, json_schema_extra=FOR_PREDICTION, description="some questions have no answer"
    )
    null_score_diff_threshold: float = Field(
        0.0,
        json_schema_extra=FOR_PREDICTION,
        description="answer nothing when the null score is ahead by more than this",
    )
    n_best_size: int = Field(
        20, ge=1, json_schema_extra=FOR_PREDICTION, description="candidates kept for a question"
    )
    max_answer_length: int = Field(
        30, ge=1, json_schema_extra=FOR_PREDICTION, description="longest answer in tokens"
    )

    @model_validator(mode="after")
    def _check_stride(self) -> Self:
        if self.doc_stride >= self.max_seq_length:
            raise InputError(
                f"--doc_stride {self.doc_stride} must be below --max_seq_length "
                f"{self.max_seq_length}"
            )
        return self

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """A question and its context."""
        return ["Who met Bo?", "Ann Ray met Bo in Paris."]
