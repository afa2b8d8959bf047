"""The arguments of what every task reads: a model to start from, and data."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import AliasChoices, Field, PrivateAttr

from stages.core.errors import InputError
from stages.core.schema import Arguments

SHUFFLE_BUFFER_SIZE = 10_000


class ModelArguments(Arguments):
    """The model that one command starts from."""

    group: ClassVar[str] = "model"
    common: ClassVar[tuple[str, ...]] = ("model_name_or_path", "from_scratch")

    model_name_or_path: str | None = Field(
        None, description="folder or hub id of the checkpoint to start from"
    )
    model_revision: str | None = Field(
        None, description="commit, tag or branch of the hub checkpoint"
    )
    config_name: str | None = Field(None, description="folder or hub id of another configuration")
    tokenizer_name: str | None = Field(None, description="folder or hub id of another tokenizer")
    from_scratch: bool = Field(
        False, description="start from new weights: only configuration and tokenizer are read"
    )
    cache_dir: str | None = Field(None, description="where files from the hub are kept")
    token: str | None = Field(
        None,
        exclude=True,
        repr=False,
        description="access token for the hub (better HF_TOKEN: a list of processes shows flags)",
    )
    trust_remote_code: bool = Field(
        False, description="accepted for compatibility; code from a hub is never run"
    )

    def check_start(self) -> None:
        """Refuse arguments that name neither a checkpoint nor what new weights are made from."""
        if not (self.model_name_or_path or (self.config_name and self.tokenizer_name)):
            raise InputError(
                "--model_name_or_path is missing; name a checkpoint, or --config_name and "
                "--tokenizer_name to start from new weights"
            )

    @property
    def new_weights(self) -> bool:
        """Whether the model starts from new weights rather than from a checkpoint's."""
        return self.from_scratch or not self.model_name_or_path

    @property
    def hub_options(self) -> dict:
        """Arguments of all functions that may download a model from the hub."""
        return {"revision": self.model_revision, "cache_dir": self.cache_dir, "token": self.token}


class InputArguments(ModelArguments):
    """Model and data of one command."""

    group: ClassVar[str] = "data"
    common: ClassVar[tuple[str, ...]] = ("train_file", "validation_file", "test_file")

    dataset_name: str | None = Field(
        None, description="data set on the hub, or a folder in its form"
    )
    dataset_config_name: str | None = Field(
        None,
        validation_alias=AliasChoices("dataset_config_name", "dataset_config"),
        description="configuration of the data set",
    )
    dataset_revision: str | None = Field(None, description="commit, tag or branch of the data set")
    train_split_name: str = Field("train", description="split of the data set to train on")
    eval_split_name: str = Field("validation", description="split of the data set to evaluate on")
    test_split_name: str = Field("test", description="split of the data set to predict")
    train_file: str | None = Field(None, description="file to train on")
    validation_file: str | None = Field(None, description="file to evaluate on")
    test_file: str | None = Field(None, description="file to predict")
    streaming: bool = Field(
        False,
        description=(
            "read the training rows as they are needed, so that they may be more than the disk "
            "holds: shards of Parquet or JSON lines, which train_file names by a folder, a "
            "pattern or an address, or a data set on the hub; needs max_steps"
        ),
    )
    shuffle_buffer_size: int | None = Field(
        None,
        ge=1,
        description=(
            "rows of a stream that are shuffled among themselves "
            f"(default {SHUFFLE_BUFFER_SIZE:,}); up to three such blocks are in memory"
        ),
    )
    data_license: str | None = Field(
        None,
        description="licence of the training data, for the model's card (an SPDX name: CC-BY-4.0)",
    )
    overwrite_cache: bool = Field(
        False, description="fetch the data set from the hub again, and make its tokens again"
    )
    preprocessing_num_workers: int | None = Field(
        None,
        ge=1,
        description="processes (threads, for few rows) that make tokens (default: one a core)",
    )
    max_train_samples: int | None = Field(
        None, ge=1, description="rows to train on at most: the first ones"
    )
    max_eval_samples: int | None = Field(
        None, ge=1, description="rows to evaluate on at most: the first ones"
    )
    max_predict_samples: int | None = Field(
        None, ge=1, description="rows to predict at most: the first ones"
    )
    _source_columns: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def source_columns(self) -> Mapping[str, str]:
        """Flag to the column that the source of the model's training data has under another name.

        Empty where something is trained, as no model says it.
        """
        return self._source_columns

    def with_source_columns(self, columns: Mapping[str, str]) -> Self:
        """These arguments, with what `source_columns` gives."""
        self._source_columns = columns
        return self
