"""Checkpoints of one layer, width 16 and random weights, with their tokenizers."""

from pathlib import Path

from transformers import CONFIG_MAPPING, GPT2Tokenizer, PreTrainedTokenizerFast

from stages import models
from stages.core.files import write_json, write_text
from stages.vocabularies import word_level
from stages.vocabularies.byte_level_bpe import train_byte_level_bpe
from stages.vocabularies.metaspace_bpe import train_metaspace_bpe
from stages.vocabularies.wordpiece import SPECIAL, train_wordpiece
from support.toy_data import PAIRS, TEXT
from support.toy_speech import WORDS

POSITIONS = 384
# The head that a family has unless another is asked for; encoders predict masked tokens.
HEADS = {"gpt2": "causal_lm", "t5": "seq2seq_lm", "whisper": "speech_seq2seq"}


def make_tokenizer(size: int = 110) -> PreTrainedTokenizerFast:
    """Word pieces of the toy text and pairs, so few that longer words come apart."""
    texts = [TEXT, *(f"{one} {two}" for one, two, _ in PAIRS), "Who What Where When did ?"]
    return PreTrainedTokenizerFast(
        tokenizer_object=train_wordpiece(texts, size), model_max_length=POSITIONS, **SPECIAL
    )


def make_config(model_type: str, vocab_size: int):
    """An encoder's configuration, with dropout."""
    names = {
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
    }
    if model_type == "distilbert":
        sizes = {names[key]: value for key, value in sizes.items()}
    extra = {"type_vocab_size": 1} if model_type == "roberta" else {}
    return CONFIG_MAPPING[model_type](
        vocab_size=vocab_size,
        max_position_embeddings=POSITIONS + (1 if model_type == "roberta" else 0),
        pad_token_id=0,
        initializer_range=0.1,
        **sizes,
        **extra,
    )


def make_whisper(folder: Path) -> Path:
    """Whisper without weights, which hears a second and knows the words of the toy clips."""
    sizes = {"d_model": 16, "num_mel_bins": 16, "init_std": 0.1}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 1, f"{part}_attention_heads": 2, f"{part}_ffn_dim": 32}
    positions = {"max_source_positions": 25, "max_target_positions": 12}
    entry = word_level.Entry(
        vocab_size=300,
        config={"model_type": "whisper", **sizes, **positions},
        preprocessor={"chunk_length": 1, "hop_length": 320},
    )
    tokenizer, files = word_level.make([" ".join(WORDS)] * 3, entry)
    write_text(folder / "tokenizer.json", tokenizer.to_str())
    for name, content in files.items():
        write_json(folder / name, content)
    return folder


def make_checkpoint(folder: Path, family: str, head: str | None = None) -> Path:
    """A folder with random weights and a tokenizer."""
    head = head or HEADS.get(family, "masked_lm")
    decoding = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    if family == "whisper":
        tokenizer = None  # make_whisper writes it
        config = models.load_config(make_whisper(folder))
    elif family == "gpt2":
        raw = train_byte_level_bpe(TEXT.splitlines(), 300, ["<|endoftext|>"])
        tokenizer = GPT2Tokenizer(tokenizer_object=raw)
        sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128, "bos_token_id": 1}
        config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), **decoding, **sizes)
    elif family == "t5":
        sentinels = [f"<extra_id_{number}>" for number in range(20)]
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=train_metaspace_bpe(TEXT.splitlines(), 160, sentinels),
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            additional_special_tokens=sentinels,
        )
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), **decoding, **sizes)
    else:
        tokenizer = make_tokenizer()
        config = make_config(family, len(tokenizer))
    models.save_pretrained(models.from_config(config, head, seed=3), folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder
