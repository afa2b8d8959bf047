"""Arguments of speech recognition."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from stages.core.errors import InputError
from stages.core.schema import FOR_EVALUATION, FOR_PREDICTION
from stages.training.arguments import CommonArguments

Normalisation = Literal["basic", "english", "none"]


class SpeechArguments(CommonArguments):
    """Flags of `run_flax_speech_recognition_seq2seq`."""

    main_metrics: ClassVar[tuple[str, ...]] = ("eval_wer",)

    preprocessing_num_workers: int | None = Field(
        None, ge=1, description="processes that compute features (default: one a core)"
    )
    audio_column_name: str | None = Field(
        None,
        json_schema_extra=FOR_PREDICTION,
        description="column of the audio, or of the paths of audio files",
    )
    text_column_name: str | None = Field(
        None, json_schema_extra=FOR_EVALUATION, description="column of the transcript"
    )
    max_duration_in_seconds: float = Field(
        20.0,
        gt=0,
        json_schema_extra=FOR_PREDICTION,
        description="leave longer audio out of training; name and count it in evaluation",
    )
    min_duration_in_seconds: float = Field(
        0.1,
        ge=0,
        json_schema_extra=FOR_PREDICTION,
        description="the same for shorter audio, in which no word fits",
    )
    max_label_length: int = Field(
        128,
        ge=4,
        json_schema_extra=FOR_PREDICTION,
        description=(
            "leave transcripts of more tokens out of training; name and count them in evaluation"
        ),
    )
    language: str | None = Field(
        None,
        json_schema_extra=FOR_PREDICTION,
        description="language of the speech, for a multilingual model",
    )
    task: Literal["transcribe", "translate"] | None = Field(
        None,
        # In params.yaml `task` says which of the eight tasks runs.
        validation_alias=AliasChoices("task", "speech_task"),
        json_schema_extra=FOR_PREDICTION,
        description="what a multilingual model is to do (default: transcribe)",
    )
    do_lower_case: bool = Field(
        True, json_schema_extra=FOR_PREDICTION, description="train on transcripts in lower case"
    )
    predict_with_generate: bool = Field(
        False,
        json_schema_extra=FOR_EVALUATION,
        description="write transcripts in evaluation, and score them",
    )
    num_beams: int | None = Field(
        None,
        ge=1,
        json_schema_extra=FOR_PREDICTION,
        description="beams of the search (default: the model's; 1 is greedy)",
    )
    generation_max_length: int | None = Field(
        None,
        ge=2,
        json_schema_extra=FOR_PREDICTION,
        description="tokens of a transcript at most (default: max_label_length)",
    )
    normalisation: Normalisation = Field(
        "basic",
        json_schema_extra=FOR_EVALUATION,
        description="what eval_wer and eval_cer forgive (see WordErrors)",
    )

    @model_validator(mode="after")
    def _check_durations_and_search(self) -> Self:
        if self.streaming:
            raise InputError("--streaming is not offered for speech: clips are read from files")
        if self.min_duration_in_seconds >= self.max_duration_in_seconds:
            raise InputError(
                f"--min_duration_in_seconds {self.min_duration_in_seconds:g} must be below "
                f"--max_duration_in_seconds {self.max_duration_in_seconds:g}"
            )
        for name in ("num_beams", "generation_max_length"):
            if getattr(self, name) and not (self.predict_with_generate or self.do_predict):
                raise InputError(f"--{name} needs --predict_with_generate or --do_predict")
        return self

    def example_texts(self, kept: Mapping[str, Any], tokenizer) -> list[str]:
        """None: a row is a clip."""
        return []
