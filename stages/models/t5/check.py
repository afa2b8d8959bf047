"""What a T5 configuration may ask for."""

from pydantic import Field
from transformers import PretrainedConfig

from stages.core.errors import InputError, quoted
from stages.models.base import attention_init
from stages.models.decoding.init_copying import MIN_HEADS
from stages.models.entries import Entries, Layers, Rate, Scale, Size, Token, check_entries
from stages.models.layers import ACTIVATIONS


def feed_forward_activation(feed_forward_proj: str) -> tuple[str, bool]:
    """Return the activation's name and whether it is gated; raise InputError if unknown."""
    # "gated-gelu" has always been the approximation by tanh.
    name = "gated-gelu_new" if feed_forward_proj == "gated-gelu" else feed_forward_proj
    act = name.removeprefix("gated-")
    if act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(
            f"feed_forward_proj {quoted(feed_forward_proj)} is not supported; use one of: {known}, "
            "or one of these after 'gated-'"
        )
    return act, name != act


class T5Entries(Entries):
    """What is read of a configuration."""

    vocab_size: Size
    d_model: Size
    d_kv: Size
    d_ff: Size
    num_heads: Size
    num_layers: Layers
    num_decoder_layers: Layers
    # A table has an entry for each distance.
    relative_attention_num_buckets: int = Field(ge=4, le=2**16)
    relative_attention_max_distance: int = Field(ge=1, le=2**20)
    dropout_rate: Rate
    initializer_factor: Scale
    layer_norm_epsilon: Scale
    decoder_start_token_id: Token
    pad_token_id: Token


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that this model does not support."""
    check_entries(T5Entries, config)
    if not config.is_encoder_decoder:
        raise InputError(
            "is_encoder_decoder is false, but t5 is supported with both its parts; set it to true"
        )
    feed_forward_activation(config.feed_forward_proj)
    for name in ("decoder_start_token_id", "pad_token_id"):
        token = getattr(config, name)
        if token >= config.vocab_size:
            raise InputError(
                f"{name} is {token} with vocab_size {config.vocab_size}; "
                "give that token's id in the vocabulary"
            )
    if attention_init(config, "copying"):
        _check_copying(config)
    count, farthest = (
        config.relative_attention_num_buckets,
        config.relative_attention_max_distance,
    )
    if count % 2 or farthest <= count // 2:
        raise InputError(
            f"relative_attention_num_buckets {count} with relative_attention_max_distance "
            f"{farthest} is not supported; use an even number from 4 on, and a distance above "
            "half of it"
        )


def _check_copying(config: PretrainedConfig) -> None:
    """Raise InputError where `init_copying.py` does not fit the configuration's sizes."""
    if config.scale_decoder_outputs:
        raise InputError(
            "attention_init 'copying' needs an untied head; set tie_word_embeddings to false"
        )
    if config.initializer_factor != 1:
        raise InputError(
            f"attention_init 'copying' starts from initializer_factor 1, "
            f"not {config.initializer_factor}; leave that out"
        )
    if config.num_heads < MIN_HEADS or 4 * config.d_kv > config.d_model:
        raise InputError(
            f"attention_init 'copying' needs {MIN_HEADS} heads or more, of a quarter of "
            f"d_model at most; num_heads is {config.num_heads}, d_kv {config.d_kv}, d_model "
            f"{config.d_model}"
        )
