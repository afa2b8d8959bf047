"""First values with which cross-attention reads along."""

import numpy as np
import pytest
from transformers import WhisperConfig

from stages import models
from stages.core.errors import InputError


def small_config(**keys):
    sizes = {"d_model": 64, "max_source_positions": 40, "max_target_positions": 8}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 2, f"{part}_attention_heads": 4, f"{part}_ffn_dim": 64}
    ids = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0, "decoder_start_token_id": 1}
    return WhisperConfig(vocab_size=100, **sizes, **ids, **keys)


def looked_at(attention, queries, keys):
    """The place with the highest score: int [heads, queries]."""
    heads = [
        np.split(places @ np.asarray(linear.kernel[...]), attention.heads, axis=1)
        for places, linear in ((queries, attention.query), (keys, attention.key))
    ]
    return np.stack([(q @ k.T).argmax(axis=1) for q, k in zip(*heads, strict=True)])


def test_monotonic_first_values_read_along():
    config = small_config(attention_init="monotonic", init_std=1e-6)
    model = models.from_config(config, "speech_seq2seq", seed=1)
    encoder, decoder = (
        np.asarray(part.positions.embedding[...]) for part in (model.encoder, model.decoder)
    )
    middle = np.arange(10, 30)
    for layer, offsets in zip(model.encoder.layers, [(-1, 1, -2, 2), (-1, 1, -3, 3)], strict=True):
        found = looked_at(layer.attention, encoder[middle], encoder)
        assert [set(row) for row in (found - middle).tolist()] == [{offset} for offset in offsets]
    # Five places a token; the first head a token and a half behind, the last on the diagonal.
    tokens = np.arange(3, 8)
    for layer in model.decoder.layers:
        found = looked_at(layer.cross, decoder[tokens], encoder) - 5 * tokens
        assert np.abs(found - np.array([-7.5, -5, -2.5, 0])[:, None]).max() <= 0.5


def test_other_first_values_are_refused():
    with pytest.raises(InputError, match="attention_init 'neighbours' is unknown for whisper"):
        models.from_config(small_config(attention_init="neighbours"), "speech_seq2seq")
