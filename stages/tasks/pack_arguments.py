"""The argument of tasks that can pack rows."""

from pydantic import Field

from stages.training.arguments import CommonArguments


class PackArguments(CommonArguments):
    """The flag of scripts whose rows have many lengths."""

    pack: bool = Field(
        False,
        description=(
            "train on several rows in one, each attending to itself alone: less padding where "
            "lengths differ much; a step has the tokens of about as many rows as without it"
        ),
    )

    @property
    def training_batch_options(self) -> dict:
        """As in `OptimizationArguments`, and whether to pack."""
        return super().training_batch_options | {"pack": self.pack}
