"""PyTorch's names for the modules of `model.py`.

In a table the left side is ours, the right side PyTorch's. Layers have the same numbers in both.
"""

from transformers import PretrainedConfig

from stages.models.pretrained.names import Names

ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "projection": "out_proj"}
LAYER = {
    "attention_norm": "self_attn_layer_norm",
    **{f"attention.{ours}": f"self_attn.{theirs}" for ours, theirs in ATTENTION.items()},
    "output_norm": "final_layer_norm",
    "feed_forward.expand": "fc1",
    "feed_forward.contract": "fc2",
}
CROSS = {
    "cross_norm": "encoder_attn_layer_norm",
    **{f"cross.{ours}": f"encoder_attn.{theirs}" for ours, theirs in ATTENTION.items()},
}
OUTER = {
    "encoder.convolutions.0": "encoder.conv1",
    "encoder.convolutions.1": "encoder.conv2",
    "encoder.positions": "encoder.embed_positions",
    "encoder.norm": "encoder.layer_norm",
    "decoder.tokens": "decoder.embed_tokens",
    "decoder.positions": "decoder.embed_positions",
    "decoder.norm": "decoder.layer_norm",
}


def names(config: PretrainedConfig, head: str) -> Names:
    """The PyTorch names of the modules of `model.build(config, head)`."""
    return _combine(config.encoder_layers, config.decoder_layers, tied=config.tie_word_embeddings)


def _combine(encoder_layers: int, decoder_layers: int, *, tied: bool) -> Names:
    """Combine the tables; `tied` says whether the head shares the token table."""
    prefix = "model."
    modules = {ours: prefix + theirs for ours, theirs in OUTER.items()} | {"head": "proj_out"}
    for stack, layers, table in (
        ("encoder", encoder_layers, LAYER),
        ("decoder", decoder_layers, LAYER | CROSS),
    ):
        for number in range(layers):
            for ours, theirs in table.items():
                name = f"{stack}.layers.{number}"
                modules[f"{name}.{ours}"] = f"{prefix}{name}.{theirs}"
    head, tokens = "proj_out.weight", f"{modules['decoder.tokens']}.weight"
    return Names(
        modules,
        prefix,
        aliases={tokens: (head,)} if tied else {},
        tied={head: tokens} if tied else {},
    )


def architecture(config: PretrainedConfig, head: str) -> str:
    """The PyTorch class that holds the same weights."""
    return "WhisperForConditionalGeneration"
