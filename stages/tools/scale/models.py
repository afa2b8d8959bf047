"""Models of one layer, width 16: configurations, and tokenizers trained on rows as generated."""

from pathlib import Path

import stages
from stages.core.files import write_json, write_text
from stages.core.params import PARAMS_FILE
from stages.pipeline.make_tokenizer import kind_of, read_entry
from stages.tools.scale.rows import DIGITS, WORDS, document, made

FAMILIES = {
    "glue": "bert",
    "ner": "bert",
    "qa": "bert",
    "mlm": "bert",
    "clm": "gpt2",
    "t5_mlm": "t5",
    "summarization": "t5",
    "speech": "whisper",
}
_ENTRIES = {
    "bert": {
        "config": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
            "type_vocab_size": 2,
        },
    },
    "gpt2": {"config": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128}},
    "t5": {
        "config": {
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 1,
            "num_heads": 2,
            "n_positions": 128,
        },
        "extra_ids": 40,
    },
    "whisper": {
        "config": {
            "d_model": 16,
            "num_mel_bins": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 32,
            "max_source_positions": 25,
            "max_target_positions": 16,
        },
        "preprocessor": {"chunk_length": 1, "hop_length": 320},
    },
}
VOCABULARY = 1500


# What the embedded default calls its encoder in `params.yaml`.
EMBEDDED = "encoder"


def make_model(folder: Path, name: str) -> Path:
    """Write a folder with a tokenizer and a configuration, to start from new weights.

    Args:
        folder: to write.
        name: one of the families, or `EMBEDDED` for a model of the default's size.
    """
    if name == EMBEDDED:
        params = Path(stages.__file__).parents[1] / PARAMS_FILE
        entry = read_entry(EMBEDDED, str(params))
        kind = kind_of(entry.config["model_type"])
    else:
        kind = kind_of(name)
        config = {"model_type": name, **_ENTRIES[name]["config"]}
        entry = kind.Entry(vocab_size=VOCABULARY, **{**_ENTRIES[name], "config": config})
    if name == "whisper":
        texts = [" ".join(DIGITS)] * 3
    else:
        # Every word, also one that chance left out.
        texts = [row["text"] for row in made(document, 2000, "vocabulary")]
        texts += [" ".join(WORDS)] * 3
    tokenizer, files = kind.make(texts, entry)
    write_text(folder / "tokenizer.json", tokenizer.to_str())
    for file, content in files.items():
        write_json(folder / file, content)
    return folder
