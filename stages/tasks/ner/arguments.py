"""Arguments of named-entity recognition."""

from typing import ClassVar

from pydantic import Field

from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.tasks.label_arguments import LabelArguments
from stages.tasks.pack_arguments import PackArguments


class NerArguments(LabelArguments, PackArguments):
    """Flags of `run_flax_ner`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_f1",)

    max_seq_length: int | None = Field(
        None,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description="longest window in tokens; longer sentences take several",
    )
    text_column_name: str | None = Field(
        None, json_schema_extra=FOR_PREDICTION, description="column of the tokens"
    )
    label_column_name: str | None = Field(
        None, json_schema_extra=FOR_EVALUATION, description="column of the tags"
    )
    label_all_tokens: bool = Field(
        False,
        json_schema_extra=FOR_EVALUATION,
        description="label every piece of a word, not only its first",
    )
    return_entity_level_metrics: bool = Field(False, description="report each type of entity too")
