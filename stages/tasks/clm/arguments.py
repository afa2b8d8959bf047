"""Arguments of causal language modelling."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.core.errors import InputError
from stages.training.arguments import CommonArguments

# Of the documents, where no validation file is given.
HELD_OUT_PERCENTAGE = 5


@dataclass(kw_only=True)
class ClmArguments(CommonArguments):
    """Flags of `run_clm_flax`."""

    model_type: str | None = flag(
        None,
        "start from new weights of this type's usual sizes; needs --tokenizer_name",
        choices=("gpt2",),
    )
    config_overrides: str | None = flag(
        None, 'changes to the configuration of new weights: "n_embd=128,n_layer=4"'
    )
    block_size: int | None = flag(
        None, "tokens a row (default: the model's, at most 1024)", at_least=2
    )
    validation_split_percentage: int | None = flag(
        None,
        f"evaluate on this share of the training documents (default: {HELD_OUT_PERCENTAGE} where "
        "no validation file is given)",
        at_least=1,
        at_most=99,
    )
    keep_linebreaks: bool = flag(
        True, "the lines of a document stay lines, instead of being joined by blanks"
    )
    max_new_tokens: int = flag(64, "tokens at most that continue a line to predict", at_least=1)
    num_beams: int | None = flag(
        None, "beams of the search; 1 is greedy (default: the model's own)", at_least=1
    )

    def __post_init__(self):
        super().__post_init__()
        if self.validation_file and self.validation_split_percentage:
            raise InputError(
                "--validation_split_percentage and --validation_file exclude each other; "
                "give one of the two"
            )
        # A trained folder, which is evaluated with the same parameters, has them in its config.
        if self.config_overrides and self.do_train and not self.new_weights:
            raise InputError(
                "--config_overrides needs new weights; add --from_scratch, or leave it out"
            )

    def check_start(self):
        """A type of model and a tokenizer are enough to start from."""
        if not self.model_type:
            return super().check_start()
        if self.model_name_or_path or self.config_name:
            raise InputError(
                "--model_type excludes --model_name_or_path and --config_name; give one of them"
            )
        if not self.tokenizer_name:
            raise InputError("--model_type needs --tokenizer_name; name a folder or hub id")

    def has_file(self, name: str) -> bool:
        """Part of the training file may serve for validation."""
        return super().has_file(name) or (name == "validation_file" and bool(self.train_file))

    @property
    def held_out_percentage(self) -> int:
        """The share of the training documents that is evaluated on instead; 0 for none."""
        if self.validation_split_percentage:
            return self.validation_split_percentage
        alone = self.do_eval and not (self.validation_file or self.dataset_name)
        return HELD_OUT_PERCENTAGE if alone else 0
