"""Arguments of summarization."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.core.errors import InputError
from stages.training.arguments import CommonArguments

# What `stages.generation` is told, under the names of transformers' GenerationConfig; None leaves
# it as the model's generation_config.json says.
GENERATION_FLAGS = ("num_beams", "length_penalty", "min_length", "no_repeat_ngram_size")


@dataclass(kw_only=True)
class SummarizationArguments(CommonArguments):
    """Flags of `run_summarization_flax`."""

    text_column: str | None = flag(None, "column of the documents")
    summary_column: str | None = flag(None, "column of the summaries")
    source_prefix: str | None = flag(
        None, 'put before each document; the first T5 checkpoints expect "summarize: "'
    )
    max_source_length: int = flag(
        1024, "tokens of a document, prefix and end included; longer ones are cut", at_least=4
    )
    max_target_length: int = flag(
        128, "tokens of a summary in training, end included; longer ones are cut", at_least=2
    )
    val_max_target_length: int | None = flag(
        None,
        "tokens of a summary in evaluation and prediction, and the max_length of a generated one, "
        "which counts the token that starts it too (default: max_target_length)",
        at_least=2,
    )
    label_smoothing_factor: float = flag(
        0.0,
        "share of each target's probability spread over the vocabulary, in training",
        at_least=0,
        below=1,
    )
    predict_with_generate: bool = flag(
        False, "generate summaries in evaluation and prediction, and score them by ROUGE"
    )
    num_beams: int | None = flag(
        None, "beams of the search; 1 is greedy (default: the model's own)", at_least=1
    )
    length_penalty: float | None = flag(
        None, "with beams: the power of its length that divides a summary's log likelihood"
    )
    min_length: int | None = flag(
        None, "no summary ends before so many tokens, the one that starts it included", at_least=0
    )
    no_repeat_ngram_size: int | None = flag(
        None, "no summary repeats a run of so many tokens; 0 allows it", at_least=0
    )

    def __post_init__(self):
        super().__post_init__()
        given = self.generation_options()
        if given and not self.predict_with_generate:
            raise InputError(
                f"--{next(iter(given))} needs --predict_with_generate: nothing is generated"
            )
        if self.min_length is not None and self.min_length > self.longest_generated:
            raise InputError(
                f"--min_length {self.min_length} is above the {self.longest_generated} tokens that "
                "a summary may have; raise --val_max_target_length"
            )

    @property
    def longest_generated(self) -> int:
        """Most tokens of a summary in evaluation and prediction."""
        return self.val_max_target_length or self.max_target_length

    def generation_options(self) -> dict:
        """The options of generation that were given, by their names."""
        values = {name: getattr(self, name) for name in GENERATION_FLAGS}
        return {name: value for name, value in values.items() if value is not None}
