"""Arguments of summarization."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from stages.core.errors import InputError
from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.pack_arguments import PackArguments

# Options of `stages.generation`, named as in transformers' GenerationConfig; None keeps the value
# of the model's generation_config.json.
GENERATION_FLAGS = ("num_beams", "length_penalty", "min_length", "no_repeat_ngram_size")


class SummarizationArguments(PackArguments):
    """Flags of `run_summarization_flax`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("test_rouge1",)

    text_column: str | None = Field(
        None, json_schema_extra=FOR_PREDICTION, description="column of the documents"
    )
    summary_column: str | None = Field(
        None, json_schema_extra=FOR_EVALUATION, description="column of the summaries"
    )
    source_prefix: str | None = Field(
        None,
        json_schema_extra=FOR_PREDICTION,
        description='put before each document; the first T5 checkpoints expect "summarize: "',
    )
    max_source_length: int = Field(
        1024,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description="tokens of a document, prefix and end included; longer ones are cut",
    )
    max_target_length: int = Field(
        128,
        ge=2,
        json_schema_extra=FOR_PREDICTION,
        description="tokens of a summary in training, end included; longer ones are cut",
    )
    val_max_target_length: int | None = Field(
        None,
        ge=2,
        json_schema_extra=FOR_PREDICTION,
        description=(
            "tokens of a summary in evaluation and prediction, and the max_length of a generated "
            "one, which counts the token that starts it too (default: max_target_length)"
        ),
    )
    label_smoothing_factor: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each target's probability spread over the vocabulary, in training",
    )
    predict_with_generate: bool = Field(
        False,
        json_schema_extra=FOR_PREDICTION,
        description="generate summaries in evaluation and prediction, and score them by ROUGE",
    )
    num_beams: int | None = Field(
        None,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="beams of the search; 1 is greedy (default: the model's own)",
    )
    length_penalty: float | None = Field(
        None,
        json_schema_extra=FOR_PREDICTION,
        description="with beams: the power of its length that divides a summary's log likelihood",
    )
    min_length: int | None = Field(
        None,
        ge=0,
        json_schema_extra=FOR_PREDICTION,
        description="fewest tokens of a summary, the one that starts it included",
    )
    no_repeat_ngram_size: int | None = Field(
        None,
        ge=0,
        json_schema_extra=FOR_PREDICTION,
        description="no summary repeats a sequence of this many tokens; 0 allows it",
    )

    @model_validator(mode="after")
    def _check_generation(self) -> Self:
        given = self.generation_options()
        if given and not self.predict_with_generate:
            raise InputError(
                f"--{next(iter(given))} needs --predict_with_generate: nothing is generated"
            )
        if self.min_length is not None and self.min_length > self.longest_generated:
            raise InputError(
                f"--min_length {self.min_length} is above the {self.longest_generated} tokens that "
                "a summary may have; raise --val_max_target_length"
            )
        return self

    @property
    def longest_generated(self) -> int:
        """Most tokens of a summary in evaluation and prediction."""
        return self.val_max_target_length or self.max_target_length

    def generation_options(self) -> dict:
        """The options of generation that were given, by their names."""
        values = {name: getattr(self, name) for name in GENERATION_FLAGS}
        return {name: value for name, value in values.items() if value is not None}

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """A document."""
        return ["The bridge was closed in May. Nobody could cross the river."]
