"""Arguments of causal language modelling."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from stages.core.errors import InputError
from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.text.arguments import TextArguments

# Of the documents, where no validation file is given.
HELD_OUT_PERCENTAGE = 5


class ClmArguments(TextArguments):
    """Flags of `run_clm_flax`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_perplexity",)

    model_type: Literal["gpt2"] | None = Field(
        None,
        description="start from new weights of this type's usual sizes; needs --tokenizer_name",
    )
    config_overrides: str | None = Field(
        None, description='changes to the configuration of new weights: "n_embd=128,n_layer=4"'
    )
    block_size: int | None = Field(
        None,
        ge=2,
        json_schema_extra=FOR_PREDICTION,
        description="tokens a row (default: the model's, at most 1024)",
    )
    validation_split_percentage: int | None = Field(
        None,
        ge=1,
        le=99,
        description=(
            "evaluate on this share of the training documents (default: "
            f"{HELD_OUT_PERCENTAGE} where no validation file is given)"
        ),
    )
    keep_linebreaks: bool = Field(
        True,
        json_schema_extra=FOR_EVALUATION,
        description="the lines of a document stay lines, instead of being joined by blanks",
    )
    max_new_tokens: int = Field(
        64,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="tokens at most that continue a line to predict",
    )
    num_beams: int | None = Field(
        None,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="beams of the search; 1 is greedy (default: the model's own)",
    )

    @model_validator(mode="after")
    def _check_new_weights(self) -> Self:
        if self.validation_file and self.validation_split_percentage:
            raise InputError(
                "--validation_split_percentage and --validation_file exclude each other; "
                "give one of the two"
            )
        if self.streaming and self.held_out_percentage:
            raise InputError(
                "--streaming holds nothing out; give --validation_file, or leave out --do_eval and "
                "--validation_split_percentage"
            )
        # A trained folder, which is evaluated with the same parameters, has them in its config.
        if self.config_overrides and self.do_train and not self.new_weights:
            raise InputError(
                "--config_overrides needs new weights; add --from_scratch, or leave it out"
            )
        return self

    def check_start(self) -> None:
        """A type of model and a tokenizer are enough to start from."""
        if not self.model_type:
            return super().check_start()
        if self.model_name_or_path or self.config_name:
            raise InputError(
                "--model_type excludes --model_name_or_path and --config_name; give one of them"
            )
        if not self.tokenizer_name:
            raise InputError("--model_type needs --tokenizer_name; name a folder or hub id")

    def has_file(self, name: str) -> bool:
        """Part of the training file may serve for validation."""
        return super().has_file(name) or (name == "validation_file" and bool(self.train_file))

    @property
    def held_out_percentage(self) -> int:
        """The share of the training documents that is evaluated on instead; 0 for none."""
        if self.validation_split_percentage:
            return self.validation_split_percentage
        alone = self.do_eval and not (self.validation_file or self.dataset_name)
        return HELD_OUT_PERCENTAGE if alone else 0

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """The beginning of a document."""
        return ["The bridge was"]
