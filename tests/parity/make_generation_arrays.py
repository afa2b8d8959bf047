"""Write `tests/arrays/generation`: tiny models and the tokens PyTorch generates from them.

    cd tests && python -m parity.make_generation_arrays

Needs torch. One folder a model: the checkpoint in float16; `inputs.npz`; `cases.json`, options and
the tokens of every row under them, without prompt and padding. Weights come from seeds; running
this again with the same versions gives the same files.
"""

import json

import numpy as np
import torch
import transformers
from support.paths import ARRAYS as ALL_ARRAYS

ARRAYS = ALL_ARRAYS / "generation"
VOCAB, END = 40, 1
LANGUAGES = {"<|en|>": 30, "<|de|>": 31, "<|fr|>": 32}
TASKS = {"translate": 33, "transcribe": 34}

T5 = {
    "vocab_size": VOCAB, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16,
    "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": END,
}  # fmt: skip
WHISPER = {
    "vocab_size": VOCAB, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24, "num_mel_bins": 8, "max_source_positions": 10,
    "max_target_positions": 32, "pad_token_id": END, "bos_token_id": END, "eos_token_id": END,
    "decoder_start_token_id": 29, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip
# The configuration, further entries of generation_config.json, and a seed whose model generates
# many different tokens, in rows that end and rows that do not.
KINDS = {
    "gpt2": (
        transformers.GPT2Config(
            vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=END,
            eos_token_id=END,
        ),
        {"pad_token_id": 0},
        34,
    ),
    "t5": (transformers.T5Config(**T5, feed_forward_proj="relu"), {}, 7),
    "flan_t5": (
        transformers.T5Config(
            **{**T5, "num_layers": 1}, feed_forward_proj="gated-gelu", tie_word_embeddings=False
        ),
        {},
        34,
    ),
    "whisper": (
        transformers.WhisperConfig(**WHISPER),
        {"no_timestamps_token_id": VOCAB - 1, "is_multilingual": False, "return_timestamps": False},
        16,
    ),
    "whisper_multilingual": (
        transformers.WhisperConfig(**WHISPER),
        {
            "no_timestamps_token_id": VOCAB - 1, "is_multilingual": True, "lang_to_id": LANGUAGES,
            "task_to_id": TASKS, "return_timestamps": False,
        },
        34,
    ),
}  # fmt: skip
CASES = {
    "greedy": {},
    "greedy, rules": {
        "no_repeat_ngram_size": 2, "min_new_tokens": 4, "suppress_tokens": [5, 6, 7],
        "begin_suppress_tokens": [8, 9, 10, 11, 12],
    },
    "greedy, several ends": {"eos_token_id": [END, 12, 20, 33]},
    "greedy, penalty": {"repetition_penalty": 1.7, "min_length": 6},
    "beams": {"num_beams": 4},
    "beams, early": {"num_beams": 3, "early_stopping": True, "length_penalty": 2.0},
    "beams, never": {"num_beams": 3, "early_stopping": "never", "length_penalty": 0.5},
    "beams, rules": {
        "num_beams": 4, "no_repeat_ngram_size": 3, "min_new_tokens": 3, "length_penalty": -1.0,
        "suppress_tokens": [5, 6, 7], "begin_suppress_tokens": [8, 9, 10],
        "eos_token_id": [END, 12, 20],
    },
    "beams, penalty": {"num_beams": 2, "repetition_penalty": 1.5, "early_stopping": True},
}  # fmt: skip
OF_KIND = {
    "t5": {
        "greedy, forced": {"forced_bos_token_id": 9, "forced_eos_token_id": END},
        "beams, forced": {
            "num_beams": 3, "forced_bos_token_id": 9, "forced_eos_token_id": END,
            "begin_suppress_tokens": [4, 5],
        },
        "length": {"max_new_tokens": None, "max_length": 9, "min_length": 4},
    },
    "gpt2": {
        "length": {"max_new_tokens": None, "max_length": 15, "min_length": 12, "num_beams": 2},
    },
    "whisper": {"length": {"max_new_tokens": None, "max_length": 12}},
    "whisper_multilingual": {
        "language": {"language": "german"},
        "language and task": {"language": "fr", "task": "translate", "num_beams": 3},
        "task": {"task": "transcribe"},
    },
}  # fmt: skip
# The stored options. Each set is compiled when the tests run, so there are few, with many options.
STORED = {
    "gpt2": ("greedy, rules", "beams, rules", "beams, penalty"),
    "t5": ("greedy, rules", "beams, forced"),
    "flan_t5": ("greedy, several ends", "beams, never"),
    "whisper": ("greedy, rules", "beams, early"),
    "whisper_multilingual": ("greedy", "language and task"),
}


def cases_of(kind: str) -> dict[str, dict]:
    """Name the options under which a kind of model is compared."""
    return {**CASES, **OF_KIND.get(kind, {})}


def torch_model(kind: str, seed: int | None = None, spread: float = 0.5):
    """Make a PyTorch model with random weights, so different that there are no ties."""
    config, settings, chosen = KINDS[kind]
    torch.manual_seed(chosen if seed is None else seed)
    auto = {
        "gpt2": transformers.AutoModelForCausalLM,
        "t5": transformers.AutoModelForSeq2SeqLM,
        "whisper": transformers.AutoModelForSpeechSeq2Seq,
    }[config.model_type]
    model = auto.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "encoder.embed_positions" not in name:
                weight += spread * torch.randn(weight.shape)
    # Read from a file, this entry would make transformers drop Whisper's entries.
    model.generation_config._from_model_config = False
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    return model.eval()


def inputs(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Make four rows; of text with padding, on the left for GPT-2."""
    rng = np.random.default_rng(seed)
    if kind.startswith("whisper"):
        return {"input_features": rng.standard_normal((4, 8, 20)).astype(np.float32)}
    ids = rng.integers(2, VOCAB, (4, 9)).astype(np.int32)
    mask = np.ones_like(ids)
    for row, padding in enumerate((0, 2, 5, 8)):
        mask[row, :padding] = 0
    if kind != "gpt2":
        mask = mask[:, ::-1].copy()
    return {"input_ids": np.where(mask == 1, ids, 0).astype(np.int32), "attention_mask": mask}


def torch_tokens(model, values: dict[str, np.ndarray], options: dict) -> list[list[int]]:
    """Generate with PyTorch: each row's new tokens, up to and including its end."""
    options = {"do_sample": False, "max_new_tokens": 20, **options}
    if options["max_new_tokens"] is None:
        del options["max_new_tokens"]
    tensors = {name: torch.tensor(value) for name, value in values.items()}
    with torch.no_grad():
        # As a dictionary: the bare tensor of Whisper lacks the end of its longest row.
        rows = model.generate(**tensors, **options, return_dict_in_generate=True).sequences
    rows = rows.tolist()
    if model.config.model_type == "whisper":
        prompt = rows[0].index(model.generation_config.no_timestamps_token_id) + 1
    else:
        prompt = values["input_ids"].shape[1] if model.config.model_type == "gpt2" else 1
    ends = options.get("eos_token_id", model.generation_config.eos_token_id)
    ends = ends if isinstance(ends, list) else [ends]
    return [until_end(row[prompt:], ends) for row in rows]


def until_end(row: list[int], ends: list[int]) -> list[int]:
    """The tokens up to and including the first that ends a row."""
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1]
    return row


def main() -> None:
    for kind in KINDS:
        folder = ARRAYS / kind
        folder.mkdir(parents=True, exist_ok=True)
        model = torch_model(kind)
        model.half().save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        model = type(model).from_pretrained(folder, dtype=torch.float32).eval()
        values = inputs(kind)
        np.savez_compressed(folder / "inputs.npz", **values)
        cases = {}
        for name in STORED[kind]:
            options = cases_of(kind)[name]
            rows = torch_tokens(model, values, options)
            cases[name] = {"options": options, "rows": rows}
            print(kind, name, [len(row) for row in rows], rows[0])
        lines = (f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
        (folder / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
