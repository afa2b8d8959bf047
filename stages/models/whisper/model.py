"""Whisper: speech to text, of any size, English-only or multilingual.

Sources: Radford et al. 2022 (arXiv:2212.04356), and the behaviour of transformers' PyTorch class,
which `tests/parity` compares against.
"""

import jax
import jax.numpy as jnp
from pydantic import Field
from transformers import PretrainedConfig

from stages.core.errors import InputError
from stages.models.base import attention_init, run_layer
from stages.models.decoding import init_monotonic
from stages.models.decoding.seq2seq import EncoderDecoder
from stages.models.dropout import dropout
from stages.models.entries import (
    Entries,
    ForcedIds,
    Layers,
    Rate,
    Scale,
    Size,
    Token,
    check_entries,
)
from stages.models.layers import Linear, activation
from stages.models.whisper.stacks import STRIDE, Decoder, Encoder, frequencies

HEADS = ("speech_seq2seq",)


class Whisper(EncoderDecoder):
    """Whisper with its language model head; see `stages.models` for how it is called.

    New weights are normal with `init_std`. The encoder's positions are `sinusoids` and are not
    trained. `attention_init: "monotonic"` changes them as `decoding/init_monotonic.py` describes.
    """

    def __init__(self, config: PretrainedConfig, head: str):
        super().__init__(config, head)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.decoder_limit = config.max_target_positions
        if not config.tie_word_embeddings:
            self.head = Linear(config.d_model, config.vocab_size, std=config.init_std, bias=False)

    def embed(self, ids, positions, rngs=None):
        """Look up int32 `[rows, time]` and the tokens' positions as `[rows * time, width]`."""
        x = self.decoder.tokens(ids) + self.decoder.positions(positions)
        return dropout(x.reshape(-1, x.shape[-1]), self.config.dropout, rngs)

    def position_bias(self, queries, keys):
        """None: positions are added to the tokens."""
        return None

    def finish(self, x, rngs=None):
        """Apply the decoder's final norm."""
        return self.decoder.norm(x)

    def encode(self, input_features, *, rngs=None):
        """Map log-mel features, float `[rows, mels, frames]`, to float `[rows, source, width]`.

        The length is fixed, `frames = 2 * max_source_positions`: 30 seconds in the published
        sizes. Raises ValueError for any other.
        """
        config = self.config
        wanted = (config.num_mel_bins, STRIDE * config.max_source_positions)
        if input_features.shape[1:] != wanted:
            raise ValueError(
                f"input_features are {input_features.shape[1:]} of mels and frames a row, but the "
                f"model takes {wanted}; pad with silence or cut"
            )
        x = input_features.transpose(0, 2, 1).astype(self.decoder.tokens.embedding.dtype)
        for convolution in self.encoder.convolutions:
            x = activation("gelu")(convolution(x))
        x = x + jax.lax.stop_gradient(self.encoder.positions.embedding[...])
        rows, time, width = x.shape
        x = dropout(x.reshape(-1, width), config.dropout, rngs)
        for layer in self.encoder.layers:
            x = run_layer(layer, x, rngs, remat=self.remat, rows=rows, bias=None)
        return self.encoder.norm(x).reshape(rows, time, width)

    def hidden(self, input_features, decoder_input_ids, *, rngs=None):
        """Return the decoder's output, float `[rows, time, width]`; arguments as `__call__`."""
        encoded = self.encode(input_features, rngs=rngs)
        return self.decoder_hidden(decoder_input_ids, encoded, rngs=rngs)

    def logits(self, hidden):
        """Score the vocabulary from `[..., width]`: float32 `[..., vocab]`."""
        head = self.decoder.tokens.attend if self.config.tie_word_embeddings else self.head
        return head(hidden).astype(jnp.float32)

    def __call__(self, input_features, decoder_input_ids, *, rngs=None) -> jax.Array:
        """Return float32 `[rows, time, vocab]`: at each decoder token, the logits of the next.

        Args:
            input_features: float `[rows, mels, frames]`, see `encode`.
            decoder_input_ids: int32 `[rows, time]`, see `decoder_inputs`. Padding on the right
                needs no mask: the decoder is causal.
            rngs: with a stream `dropout`; None is evaluation mode.
        """
        return self.logits(self.hidden(input_features, decoder_input_ids, rngs=rngs))


def build(config: PretrainedConfig, head: str) -> Whisper:
    """Make an abstract model."""
    return Whisper(config, head)


def apply_init(model: Whisper) -> None:
    """Change the first values as the configuration's `attention_init` asks."""
    config = model.config
    if attention_init(config, "monotonic"):
        init_monotonic.apply_init(
            frequencies(config.d_model),
            list(model.encoder.layers),
            list(model.decoder.layers),
            model.decoder.positions.embedding,
            source_positions=config.max_source_positions,
        )


def max_positions(config: PretrainedConfig) -> int:
    """The number of tokens that the decoder takes."""
    return config.max_target_positions


class WhisperEntries(Entries):
    """What is read of a configuration."""

    vocab_size: Size
    d_model: Size
    num_mel_bins: Size
    encoder_layers: Layers
    decoder_layers: Layers
    encoder_attention_heads: Size
    decoder_attention_heads: Size
    encoder_ffn_dim: Size
    decoder_ffn_dim: Size
    max_source_positions: Size
    max_target_positions: Size
    dropout: Rate
    attention_dropout: Rate
    activation_dropout: Rate
    init_std: Scale
    decoder_start_token_id: Token
    pad_token_id: Token
    # Of augmentation in training; Park et al. 2019 (arXiv:1904.08779).
    mask_time_prob: float = Field(ge=0, le=1)
    mask_time_length: Size
    mask_time_min_masks: int = Field(ge=0, le=2**24)
    mask_feature_prob: float = Field(ge=0, le=1)
    mask_feature_length: Size
    mask_feature_min_masks: int = Field(ge=0, le=2**24)
    forced_decoder_ids: ForcedIds = None


def check(config: PretrainedConfig) -> None:
    """Raise InputError for a configuration that this model does not support."""
    check_entries(WhisperEntries, config)
    if not config.is_encoder_decoder:
        raise InputError(
            "is_encoder_decoder is false, but whisper is supported with both its parts; "
            "set it to true"
        )
    for name in ("encoder_layerdrop", "decoder_layerdrop"):
        if getattr(config, name):
            raise InputError(f"{name} is set, but is not supported; set it to 0 or false")
    attention_init(config, "monotonic")
    activation(config.activation_function)
    for name in ("decoder_start_token_id", "pad_token_id"):
        token = getattr(config, name)
        if token >= config.vocab_size:
            raise InputError(
                f"{name} is {token} with vocab_size {config.vocab_size}; "
                "give that token's id in the vocabulary"
            )
    if config.d_model % 2:
        raise InputError(
            f"d_model is {config.d_model}, but positions are half sines and half cosines; "
            "use an even number"
        )
    for heads in (config.encoder_attention_heads, config.decoder_attention_heads):
        if config.d_model % heads:
            raise InputError(
                f"d_model {config.d_model} is not a multiple of {heads} attention heads; "
                "change one of them"
            )
