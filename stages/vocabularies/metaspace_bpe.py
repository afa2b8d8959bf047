"""BPE whose tokens contain the space before a word (`Metaspace`), for T5, with sentinels."""

from pydantic import Field

from stages.vocabularies.entry import TokenizerEntry

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


class Entry(TokenizerEntry):
    """With the number of sentinels."""

    extra_ids: int = Field(100, ge=1, description="sentinels for the spans of a row")


def make(texts: list[str], entry: Entry):
    """The tokenizer, and the other files of the folder."""
    config = entry.config
    sentinels = [f"<extra_id_{number}>" for number in range(entry.extra_ids)]
    tokenizer = train_metaspace_bpe(texts, entry.vocab_size, sentinels)
    pad, end = (tokenizer.token_to_id(token) for token in (PAD, END))
    ids = {"pad_token_id": pad, "eos_token_id": end, "decoder_start_token_id": pad}
    return tokenizer, {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.get("n_positions", 512),
            "pad_token": PAD,
            "eos_token": END,
            "unk_token": UNKNOWN,
            "additional_special_tokens": sentinels,
        },
        "config.json": {**config, "vocab_size": tokenizer.get_vocab_size(), **ids},
        "generation_config.json": ids,
    }


def train_metaspace_bpe(texts: list[str], vocab_size: int, sentinels: list[str]):
    """A BPE tokenizer (Sennrich et al. 2016) with `▁` for spaces and split digits and punctuation.

    T5's published vocabulary is a unigram model, whose training gives other scores in each process.

    Args:
        texts: lines.
        vocab_size: tokens at most, including the special tokens.
        sentinels: tokens for the spans of a row, the first of them with the highest id.

    Returns:
        `tokenizers.Tokenizer` whose rows are `text </s>`, with `<pad>` 0, `</s>` 1, `<unk>` 2.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # After a sentinel a word starts only at a space.
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            # A name has the same tokens before a full stop; a number is split into digits.
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(sentinels),
        special_tokens=[PAD, END, UNKNOWN],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, lstrip=True) for token in sentinels[::-1]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}",
        pair=f"$A {END} $B {END}",
        special_tokens=[(END, tokenizer.token_to_id(END))],
    )
    return tokenizer
