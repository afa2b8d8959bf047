"""First values under which a small Whisper reads along: each word from its own part of the sound.

From the usual random start a small speech model first learns what is said at all, a language model
that does not listen, and stays on that plateau until some attention happens to find the sound of a
word. Four changes to the first values, and to nothing else, spare it that; checkpoints stay
ordinary ones.

1. The decoder's positions start as the waves of the encoder's, so many of its places a token as
   make both ends meet: speech and text run in step (Tachibana et al. 2018, arXiv:1710.08969,
   guide attention to the diagonal by a loss instead).
2. Heads of the cross-attention look at the diagonal, each a little more behind: queries are
   positions, rotated by an offset, and keys are positions.
3. Heads of the encoder look, in the same way but more sharply, at the places before and behind.
4. Projections into the residual stream start small, so that layers begin near the identity.
"""

import numpy as np
from flax import nnx

from stages.models.decoding.blocks import Attention, Layer
from stages.models.layers import look_at_offsets, set_values

# How far query and key, each, stand out from the random values that are left beside them.
NEAR_GAIN, ALONG_GAIN, NOISE = 1.5, 1.8, 0.5
# Radians a place, at most: a head of the cross-attention is to see a whole word at once.
BROADEST_FREQUENCY = 0.4
# Tokens that the first head looks behind the diagonal; the last looks along it.
MOST_BEHIND = 1.5
AMPLITUDE = 0.5
RESIDUAL_SCALE = 0.2


def arrange(
    frequencies: np.ndarray,
    encoder_layers: list[Layer],
    decoder_layers: list[Layer],
    positions: nnx.Param,
    *,
    places: int,
) -> None:
    """Overwrite the values of a newly initialised model.

    Args:
        frequencies: float [width / 2], radians a place of the encoder's waves, falling; its
            positions hold all sines, then all cosines.
        encoder_layers, decoder_layers: of the same width.
        positions: the decoder's, [tokens, width].
        places: positions of the encoder.
    """
    tokens, _ = positions[...].shape
    step = places / tokens
    angles = np.arange(tokens)[:, None] * step * frequencies
    set_values(positions, AMPLITUDE * np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
    for number, layer in enumerate(encoder_layers):
        heads = layer.attention.heads
        reach = [1 + head // 2 * (number + 1) for head in range(heads)]
        offsets = [-far if head % 2 == 0 else far for head, far in enumerate(reach)]
        _look(layer.attention, frequencies, offsets, first=0, gain=NEAR_GAIN)
    broad = int(np.sum(frequencies > BROADEST_FREQUENCY))
    for layer in decoder_layers:
        offsets = np.linspace(-MOST_BEHIND * step, 0.0, layer.cross.heads)
        _look(layer.cross, frequencies, offsets, first=broad, gain=ALONG_GAIN)
    for layer in [*encoder_layers, *decoder_layers]:
        parts = [layer.attention.projection, layer.feed_forward.contract]
        parts += [layer.cross.projection] if hasattr(layer, "cross") else []
        for linear in parts:
            set_values(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)


def _look(attention: Attention, frequencies, offsets, *, first: int, gain: float) -> None:
    """Let the heads look at `offsets` by as many waves as they hold, from number `first` on."""
    waves = len(frequencies)
    held = attention.query.kernel.shape[1] // attention.heads // 2
    first = min(first, waves - held)
    chosen = np.arange(first, first + held)
    look_at_offsets(
        attention.query,
        attention.key,
        offsets,
        frequencies[chosen],
        waves + chosen,
        chosen,
        gain=gain,
        noise=NOISE,
    )
