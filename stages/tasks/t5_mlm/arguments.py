"""Arguments of span corruption."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.training.arguments import CommonArguments


@dataclass(kw_only=True)
class T5MlmArguments(CommonArguments):
    """Flags of `run_t5_mlm_flax`."""

    max_seq_length: int | None = flag(
        None,
        "tokens of a corrupted row, the last one included (default: the tokenizer's, at most 1024)",
        at_least=4,
    )
    mlm_probability: float = flag(0.15, "share of the tokens to hide", above=0, below=1)
    train_mlm_probability: float | None = flag(
        None,
        "another share to hide in training, more to learn from in each step (default: the same)",
        above=0,
        below=1,
    )
    mean_noise_span_length: float = flag(
        3.0, "mean length of the spans that are hidden whole", at_least=1
    )
    max_new_tokens: int = flag(
        64, "tokens at most that fill the gaps of a line to predict", at_least=1
    )
    num_beams: int | None = flag(
        None, "beams of the search; 1 is greedy (default: the model's own)", at_least=1
    )
