"""Arguments of the toy task."""

from pydantic import Field

from stages.training.arguments import CommonArguments


class ToyArguments(CommonArguments):
    """Flags of `run_toy`."""

    max_seq_length: int | None = Field(None, ge=4, description="longest row in tokens")
