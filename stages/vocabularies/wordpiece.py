"""WordPiece, for encoders: words and punctuation are split, rows have one or two texts."""

from stages.vocabularies.entry import TokenizerEntry

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


class Entry(TokenizerEntry):
    """Has no further keys."""


def make(texts: list[str], entry: Entry):
    """The tokenizer, and the other files of the folder."""
    config = entry.config
    tokenizer = train_wordpiece(texts, entry.vocab_size)
    positions = config.get("max_position_embeddings", 512)
    special_ids = {"pad_token_id": tokenizer.token_to_id(SPECIAL["pad_token"])}
    return tokenizer, {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": positions,
            **SPECIAL,
        },
        "config.json": {**config, "vocab_size": tokenizer.get_vocab_size(), **special_ids},
    }


def train_wordpiece(texts: list[str], vocab_size: int):
    """A cased WordPiece tokenizer (Wu et al. 2016) that splits numbers into digits.

    Words and punctuation are split first, so that a sentence has the same tokens as running text
    and as the list of words of named-entity recognition.

    Returns:
        `tokenizers.Tokenizer` whose rows are `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            # A number is split into digits, so that two amounts differ where their digits do.
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.WordPiece()
    # The trainer numbers the letters within words in the order of a hash map, which differs between
    # runs, and breaks ties by these numbers. Given in advance, the numbers are always the same.
    letters = sorted({f"##{letter}" for text in texts for letter in text if not letter.isspace()})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL.values(), *letters], show_progress=False
    )
    learner = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk_token"]))
    learner.normalizer, learner.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    learner.train_from_iterator(texts, trainer)
    tokenizer.model = models.WordPiece(learner.get_vocab(), unk_token=SPECIAL["unk_token"])
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    classify, separate = SPECIAL["cls_token"], SPECIAL["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{classify} $A {separate}",
        pair=f"{classify} $A {separate} $B:1 {separate}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (classify, separate)],
    )
    return tokenizer
