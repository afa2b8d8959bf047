"""Arguments of the tasks that read running text."""

from pydantic import Field

from stages.core.schema import FOR_EVALUATION
from stages.training.arguments import CommonArguments
from stages.training.optimization_arguments import Seed


class TextArguments(CommonArguments):
    """The flag that all of them share."""

    text_column_name: str | None = Field(
        None, description="column of the text, where the file has columns"
    )

    @property
    def columns(self) -> dict:
        """Arguments of all functions that read running text."""
        return {"text_column": self.text_column_name, "source_columns": self.source_columns}


class MaskingArguments(TextArguments):
    """Flags that `run_mlm_flax` and `run_t5_mlm_flax` share."""

    mlm_probability: float = Field(
        0.15,
        gt=0,
        lt=1,
        json_schema_extra=FOR_EVALUATION,
        description="share of the tokens to predict",
    )
    train_mlm_probability: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=(
            "another share to predict in training, more to learn from in each step (default: the "
            "same)"
        ),
    )

    # Of the common arguments; here evaluation draws from it what it hides.
    seed: Seed = Field(
        42,
        json_schema_extra=FOR_EVALUATION,
        description="seed of weights, order, masks and dropout",
    )

    @property
    def train_probability(self) -> float:
        """The share of the tokens to predict in training."""
        return self.train_mlm_probability or self.mlm_probability
