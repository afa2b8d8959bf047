"""The arguments of tasks whose model has a fixed list of labels."""

from collections.abc import Sequence

from pydantic import Field, field_validator

from stages.core.errors import quoted
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

    @field_validator("label_names")
    @classmethod
    def _check_names(cls, value: str | None) -> str | None:
        names = [] if value is None else split_names(value)
        if "" in names or len(set(names)) < len(names):
            raise ValueError(f"{quoted(value)} has an empty or a repeated name; expected a,b,c")
        return value

    @property
    def label_list(self) -> Sequence[str] | None:
        """The names given by `label_names`, None without it."""
        return None if self.label_names is None else split_names(self.label_names)


def split_names(names: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in names.split(",")]
