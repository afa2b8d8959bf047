"""A token for each word of a closed vocabulary, for Whisper."""

from typing import Self

from pydantic import Field, model_validator

from stages.core.errors import InputError, quoted
from stages.vocabularies.byte_level_bpe import END, train_byte_level_bpe
from stages.vocabularies.entry import TokenizerEntry

START, NO_TIMESTAMPS = "<|startoftranscript|>", "<|notimestamps|>"
# The front end of every Whisper: samples per second, per frame and per window.
SAMPLING_RATE, HOP, WINDOW = 16_000, 160, 400


class Entry(TokenizerEntry):
    """With the options of the front end, which must give the shapes that the encoder takes."""

    preprocessor: dict = Field({}, description="names of its options")
    whole_words: bool = Field(
        True, description="refuse a vocabulary that splits a word of the training text"
    )

    @model_validator(mode="after")
    def _check_shapes(self) -> Self:
        made = _preprocessor(self)
        if made["chunk_length"] != int(made["chunk_length"]):
            raise ValueError(
                f"config.max_source_positions makes {made['chunk_length']} seconds of sound; "
                "choose it so that they are whole"
            )
        mels, positions = (
            self.config.get(key, default)
            for key, default in (("num_mel_bins", 80), ("max_source_positions", 1500))
        )
        if made["feature_size"] != mels:
            raise ValueError(
                f"preprocessor.feature_size is {made['feature_size']}, config.num_mel_bins "
                f"{mels}; leave the first out"
            )
        # The encoder's second convolution takes every other frame.
        if made["nb_max_frames"] != 2 * positions:
            raise ValueError(
                f"preprocessor.chunk_length {made['chunk_length']} gives {made['nb_max_frames']} "
                f"frames, config.max_source_positions {positions} takes {2 * positions}; make "
                "them agree"
            )
        return self


def make(texts: list[str], entry: Entry):
    """The tokenizer, and the other files of the folder.

    Raises:
        InputError: the vocabulary is too small to have a token for every word, and `whole_words`
            asks for that.
    """
    config = entry.config
    special = [END, START, NO_TIMESTAMPS]
    tokenizer = train_byte_level_bpe(texts, entry.vocab_size, special, add_prefix_space=True)
    words = sorted({word for text in texts for word in text.split()})
    broken = [word for word in words if len(tokenizer.encode(word).ids) > 1]
    if broken and entry.whole_words:
        raise InputError(
            f"{len(broken)} of {len(words)} words are no piece of their own, {quoted(broken[0])} "
            "for instance; raise vocab_size, and write letters only"
        )
    end, start, no_timestamps = (tokenizer.token_to_id(token) for token in special)
    ids = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": start,
        # Without these two, transformers suppresses ids of OpenAI's vocabulary.
        "suppress_tokens": None,
        "begin_suppress_tokens": None,
    }
    return tokenizer, {
        "tokenizer_config.json": {
            "tokenizer_class": "WhisperTokenizer",
            "model_max_length": config.get("max_target_positions", 448),
            "add_prefix_space": True,
            **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), END),
            "additional_special_tokens": [START, NO_TIMESTAMPS],
        },
        "config.json": {**config, "vocab_size": tokenizer.get_vocab_size(), **ids},
        "generation_config.json": {
            **ids,
            "is_multilingual": False,
            "no_timestamps_token_id": no_timestamps,
            "max_length": config.get("max_target_positions", 448),
        },
        "preprocessor_config.json": _preprocessor(entry),
    }


def _preprocessor(entry: Entry) -> dict:
    """The content of `preprocessor_config.json`: defaults, overridden by the entry's options."""
    config, options = entry.config, entry.preprocessor
    rate, hop = options.get("sampling_rate", SAMPLING_RATE), options.get("hop_length", HOP)
    chunk = options.get("chunk_length", config.get("max_source_positions", 1500) * 2 * hop / rate)
    samples = round(chunk * rate)
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": config.get("num_mel_bins", 80),
        "sampling_rate": rate,
        "hop_length": hop,
        "chunk_length": int(chunk) if chunk == int(chunk) else chunk,
        "n_fft": WINDOW,
        "n_samples": samples,
        "nb_max_frames": samples // hop,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        **options,
    }
