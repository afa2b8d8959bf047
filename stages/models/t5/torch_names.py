"""PyTorch's names for the modules of `model.py`.

In a table the left side is ours, the right side PyTorch's. Layers have the same numbers in both.
"""

from transformers import PretrainedConfig

from stages.models.pretrained.names import Names
from stages.models.t5.check import feed_forward_activation

ATTENTION = {"query": "q", "key": "k", "value": "v", "projection": "o"}
TOKENS = "shared.weight"
# PyTorch has the token table under these keys too; a file may hold any of them.
REPEATED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# Old folders hold an unused table of relative positions between decoder and encoder.
BUFFERS = ("EncDecAttention.relative_attention_bias.weight",)


def names(config: PretrainedConfig, head: str) -> Names:
    """The PyTorch names of the modules of `model.build(config, head)`."""
    return _combine(
        config.num_layers,
        config.num_decoder_layers,
        tied=config.scale_decoder_outputs,
        gated=feed_forward_activation(config.feed_forward_proj)[1],
    )


def _combine(encoder_layers: int, decoder_layers: int, *, tied: bool, gated: bool) -> Names:
    """Combine the tables; `tied` refers to the head, `gated` to the feed-forward part."""
    modules = {"word_embeddings": "shared", "head": "lm_head"}
    for stack, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        modules[f"{stack}.norm"] = f"{stack}.final_layer_norm"
        first = f"{stack}.block.0.layer.0.SelfAttention"
        modules[f"{stack}.positions"] = f"{first}.relative_attention_bias"
        for number in range(layers):
            parts = _layer_modules(cross=stack == "decoder", gated=gated)
            for ours, theirs in parts.items():
                modules[f"{stack}.layers.{number}.{ours}"] = f"{stack}.block.{number}.{theirs}"
    head = "lm_head.weight"
    # Versions of transformers that tie every T5 write no head unless it was trained untied.
    aliases = {TOKENS: (*REPEATED, head)} if tied else {TOKENS: REPEATED, head: (TOKENS,)}
    repeated = (*REPEATED, head) if tied else REPEATED
    return Names(
        modules,
        prefix="",
        aliases=aliases,
        tied=dict.fromkeys(repeated, TOKENS),
        buffers=BUFFERS,
    )


def _layer_modules(*, cross: bool, gated: bool) -> dict[str, str]:
    parts = {"attention_norm": "layer.0.layer_norm"}
    parts |= {f"attention.{k}": f"layer.0.SelfAttention.{v}" for k, v in ATTENTION.items()}
    if cross:
        parts |= {"cross_norm": "layer.1.layer_norm"}
        parts |= {f"cross.{k}": f"layer.1.EncDecAttention.{v}" for k, v in ATTENTION.items()}
    last = "layer.2" if cross else "layer.1"
    dense = f"{last}.DenseReluDense"
    parts |= {"output_norm": f"{last}.layer_norm", "feed_forward.contract": f"{dense}.wo"}
    if gated:
        return parts | {
            "feed_forward.gate": f"{dense}.wi_0",
            "feed_forward.expand": f"{dense}.wi_1",
        }
    return parts | {"feed_forward.expand": f"{dense}.wi"}


def architecture(config: PretrainedConfig, head: str) -> str:
    """The PyTorch class that holds the same weights."""
    return "T5ForConditionalGeneration"
