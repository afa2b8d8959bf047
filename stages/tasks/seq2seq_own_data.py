"""A small new T5, for `stages.tasks.own_data`."""

from collections.abc import Sequence

from stages.tasks.own_data import Sizes
from stages.tasks.own_training import new_tokenizer


def new_t5(sizes: Sizes, columns: Sequence[str]) -> dict:
    """The entry of `tokenizers`, but for its text.

    Args:
        sizes: of the training rows.
        columns: of the training text in the task's standard form; none for running text.
    """
    config = {
        "model_type": "t5",
        "tie_word_embeddings": False,
        "attention_init": "copying",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 256,
        "num_layers": 3,
        "num_decoder_layers": 3,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "n_positions": 512,
    }
    return new_tokenizer(sizes, config, columns, extra_ids=40)
