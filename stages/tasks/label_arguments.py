"""The arguments of tasks whose model has a fixed list of labels."""

from typing import Self

from pydantic import Field, model_validator

from stages.core.errors import InputError, quoted
from stages.training.arguments import CommonArguments


class LabelArguments(CommonArguments):
    """Flags that `run_flax_glue` and `run_flax_ner` share."""

    label_names: str | None = Field(
        None,
        description=(
            "all labels there may be, a,b,c, in the model's order (default: the checkpoint's if "
            "the training rows have the same ones, else theirs, of a stream those of its first "
            "block)"
        ),
    )

    @model_validator(mode="after")
    def _check_label_names(self) -> Self:
        names = self.label_list or ["one"]
        if "" in names or len(set(names)) < len(names):
            raise InputError(
                f"--label_names {quoted(self.label_names)} has an empty or a repeated name; "
                "expected a,b,c"
            )
        return self

    @property
    def label_list(self) -> list[str] | None:
        """The names given by `label_names`, None without it."""
        if self.label_names is None:
            return None
        return [name.strip() for name in self.label_names.split(",")]
