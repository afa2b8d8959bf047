"""Byte-level BPE (Radford et al. 2019, section 2.2), for GPT-2: any text, no unknown token."""

from stages.vocabularies.entry import TokenizerEntry

END = "<|endoftext|>"


class Entry(TokenizerEntry):
    """Has no further keys."""


def make(texts: list[str], entry: Entry):
    """The tokenizer, and the other files of the folder."""
    config = entry.config
    tokenizer = train_byte_level_bpe(texts, entry.vocab_size, [END])
    end = tokenizer.token_to_id(END)
    ids = {"bos_token_id": end, "eos_token_id": end}
    return tokenizer, {
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "model_max_length": config.get("n_positions", 1024),
            "add_prefix_space": False,
            **dict.fromkeys(("bos_token", "eos_token", "unk_token"), END),
        },
        "config.json": {**config, "vocab_size": tokenizer.get_vocab_size(), **ids},
        "generation_config.json": {**ids, "pad_token_id": end},
    }


def train_byte_level_bpe(
    texts: list[str], vocab_size: int, special: list[str], *, add_prefix_space: bool = False
):
    """A byte-level BPE tokenizer in which a digit is always a token by itself.

    Args:
        texts: lines.
        vocab_size: tokens at most, including the 256 bytes and the special tokens.
        special: special tokens, the last of the vocabulary.
        add_prefix_space: put a space before a text, as before its other words.

    Returns:
        `tokenizers.Tokenizer`; text splits into words as GPT-2's does.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    learner = Tokenizer(models.BPE())
    # A number is split into digits, so that two amounts differ where their digits do. No pairs of
    # digits are learned here, so they stay separate under GPT-2's own splitting too.
    digits = pre_tokenizers.Digits(individual_digits=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    tokenizer = Tokenizer(learner.model)
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer
