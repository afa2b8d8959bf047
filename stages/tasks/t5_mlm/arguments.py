"""Arguments of span corruption."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.text.arguments import MaskingArguments


class T5MlmArguments(MaskingArguments):
    """Flags of `run_t5_mlm_flax`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_accuracy", "eval_content_accuracy")

    max_seq_length: int | None = Field(
        None,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description=(
            "tokens of a corrupted row, the last one included (default: the tokenizer's, at most "
            "1024)"
        ),
    )
    mean_noise_span_length: float = Field(
        3.0,
        ge=1,
        json_schema_extra=FOR_EVALUATION,
        description="mean length of the spans that are hidden whole",
    )
    max_new_tokens: int = Field(
        64,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="tokens at most that fill the gaps of a line to predict",
    )
    num_beams: int | None = Field(
        None,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="beams of the search; 1 is greedy (default: the model's own)",
    )

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """A text with a gap to fill."""
        return ["The bridge was <extra_id_0> in May."]
