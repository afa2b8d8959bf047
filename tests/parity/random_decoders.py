"""Tiny PyTorch models that generate, with random weights, for comparison. Needs torch."""

import numpy as np
import torch
import transformers
from parity.random_models import torch_model as random_model

# A kind is a family, and of T5 a version.
HEADS = {
    "gpt2": "causal_lm",
    "t5": "seq2seq_lm",
    "flan_t5": "seq2seq_lm",
    "whisper": "speech_seq2seq",
}
VOCAB, MELS, SOURCE = 40, 5, 12
SIZES = {
    "gpt2": {
        "n_embd": 16,
        "n_head": 4,
        "n_layer": 2,
        "n_positions": 16,
        "bos_token_id": 1,
        "eos_token_id": 1,
    },
    "t5": {
        "d_model": 16,
        "d_kv": 6,
        "d_ff": 24,
        "num_heads": 3,
        "num_layers": 1,
        "num_decoder_layers": 2,
        # Few and close, so that a short row uses all of them.
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 12,
        "decoder_start_token_id": 0,
    },
    "whisper": {
        "d_model": 16,
        "num_mel_bins": MELS,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 20,
        "max_source_positions": SOURCE,
        "max_target_positions": 16,
        "dropout": 0.1,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
        "decoder_start_token_id": 2,
        "begin_suppress_tokens": [3],
    },
}
SIZES["flan_t5"] = SIZES["t5"] | {
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}


def config(kind: str, **changes) -> transformers.PretrainedConfig:
    """Make a configuration of width 16 and 1 or 2 layers."""
    model_type = "t5" if kind == "flan_t5" else kind
    values = {"model_type": model_type, "vocab_size": VOCAB, **SIZES[kind], **changes}
    return transformers.CONFIG_MAPPING[model_type].from_dict(values)


def torch_model(config: transformers.PretrainedConfig, kind: str, seed: int = 0):
    """Make a PyTorch model in evaluation mode, its biases and norms random too."""
    model = random_model(config, HEADS[kind], seed)
    if kind == "flan_t5":
        # Today's class starts every T5 tied; these were not.
        with torch.no_grad():
            head = torch.randn(model.shared.weight.shape)
        model.lm_head.weight = torch.nn.Parameter(head)
    return model.eval()


def batch(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Make three rows: one full, two padded on the left or right."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, VOCAB, (3, 13)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[1, 6:] = 0
    mask[2, :4] = 0
    if kind == "gpt2":
        return {"input_ids": ids, "attention_mask": mask}
    decoder_ids = rng.integers(3, VOCAB, (3, 14)).astype(np.int32)
    if kind == "whisper":
        features = rng.standard_normal((3, MELS, 2 * SOURCE)).astype(np.float32)
        return {"input_features": features, "decoder_input_ids": decoder_ids}
    decoder_mask = np.ones_like(decoder_ids)
    decoder_mask[0, 10:] = 0
    decoder_mask[1, :2] = 0
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "decoder_input_ids": decoder_ids,
        "decoder_attention_mask": decoder_mask,
    }


def torch_logits(model, values: dict[str, np.ndarray]) -> np.ndarray:
    """Run a PyTorch model, with positions that count real tokens, as its `generate` does."""
    inputs = {
        name: torch.tensor(value) if value.dtype == np.float32 else torch.tensor(value).long()
        for name, value in values.items()
    }
    if model.config.model_type == "gpt2":
        positions = inputs["attention_mask"].cumsum(1) - 1
        inputs["position_ids"] = positions.clamp(min=0)
    with torch.no_grad():
        return model(**inputs).logits.numpy()


def real(values: dict[str, np.ndarray]) -> np.ndarray:
    """Which tokens of the scored side are not padding: bool `[rows, time]`."""
    if "decoder_input_ids" not in values:
        return values["attention_mask"] == 1
    ones = np.ones_like(values["decoder_input_ids"])
    return values.get("decoder_attention_mask", ones) == 1
