"""Arguments of masked language modelling."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.training.arguments import CommonArguments


@dataclass(kw_only=True)
class MlmArguments(CommonArguments):
    """Flags of `run_mlm_flax`."""

    max_seq_length: int | None = flag(
        None, "tokens a row, special ones included (default: the model's, at most 1024)", at_least=4
    )
    mlm_probability: float = flag(0.15, "share of the tokens to predict", above=0, below=1)
    mlm_span_length: float = flag(
        1.0,
        "mean length of the spans masked whole in training; 1 masks single tokens",
        at_least=1,
    )
    mlm_span_start: int = flag(
        0, "steps of training that mask single tokens before spans begin", at_least=0
    )
    line_by_line: bool = flag(False, "a line of text is a row, instead of packed text")
    pad_to_max_length: bool = flag(False, "pad every row to max_seq_length")
    alternate_segments: bool = flag(
        False, "paragraphs of a row alternate between two segments, as texts to be compared"
    )
