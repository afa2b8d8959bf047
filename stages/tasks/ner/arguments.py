"""Arguments of named-entity recognition."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.training.arguments import CommonArguments


@dataclass(kw_only=True)
class NerArguments(CommonArguments):
    """Flags of `run_flax_ner`."""

    max_seq_length: int | None = flag(
        None, "longest window in tokens; longer sentences take several", at_least=4
    )
    text_column_name: str | None = flag(None, "column of the tokens")
    label_column_name: str | None = flag(None, "column of the tags")
    label_all_tokens: bool = flag(False, "label every piece of a word, not only its first")
    return_entity_level_metrics: bool = flag(False, "report each type of entity too")
