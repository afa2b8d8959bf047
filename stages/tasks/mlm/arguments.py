"""Arguments of masked language modelling."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from stages.core.errors import InputError
from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.pack_arguments import PackArguments
from stages.tasks.text.arguments import MaskingArguments


class MlmArguments(MaskingArguments, PackArguments):
    """Flags of `run_mlm_flax`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_perplexity",)

    max_seq_length: int | None = Field(
        None,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description="tokens a row, special ones included (default: the model's, at most 1024)",
    )
    mlm_span_length: float = Field(
        1.0,
        ge=1,
        description="mean length of the spans masked whole in training; 1 masks single tokens",
    )
    mlm_span_start: int = Field(
        0, ge=0, description="steps of training that mask single tokens before spans begin"
    )
    line_by_line: bool = Field(
        False,
        json_schema_extra=FOR_EVALUATION,
        description="a line of text is a row, instead of packed text",
    )
    pad_to_max_length: bool = Field(
        False, json_schema_extra=FOR_PREDICTION, description="pad every row to max_seq_length"
    )
    alternate_segments: bool = Field(
        False,
        json_schema_extra=FOR_PREDICTION,
        description="paragraphs of a row alternate between two segments, as texts to be compared",
    )

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """A text with a token to predict."""
        return [f"The bridge was {tokenizer.mask_token} in May."]

    def check_steps(self, steps: int, why: str) -> None:
        """Spans must begin within the training, where they are asked for."""
        super().check_steps(steps, why)
        if self.mlm_span_start >= steps and self.mlm_span_start:
            raise InputError(
                f"--mlm_span_start is {self.mlm_span_start}, but the training has {steps:,} steps "
                f"({why}), so that no span is ever masked; give less, or train longer"
            )
