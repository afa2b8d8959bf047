"""First values under which a small Whisper aligns text and sound monotonically from the start.

From the usual random values a small speech model first becomes a language model that ignores the
sound, and stays on that plateau until some attention happens to find the sound of a word. Four
changes, to the first values alone, avoid the plateau; the saved models are ordinary ones.

1. The decoder's positions start as the encoder's sinusoids, with as many encoder positions per
   token as make both sequences end together (Tachibana et al. 2018, arXiv:1710.08969, guide
   attention to the diagonal by a loss instead).
2. Heads of the cross-attention attend to the diagonal, each a little further behind it: queries are
   positions rotated by an offset, and keys are positions.
3. Heads of the encoder attend in the same way, but more sharply, to the positions before and after.
4. Projections into the residual stream start small, so that layers start near the identity.
"""

import numpy as np
from flax import nnx

from stages.models.decoding.blocks import Attention, Layer
from stages.models.init_offsets import attend_to_offsets
from stages.models.parameters import overwrite

# Gain of queries and keys over the share of random values that remains.
NEAR_GAIN, ALONG_GAIN, NOISE = 1.5, 1.8, 0.5
# Upper limit in radians per position: a cross-attention head should cover a whole word.
BROADEST_FREQUENCY = 0.4
# Offset of the first head behind the diagonal, in tokens; the last is on the diagonal.
MOST_BEHIND = 1.5
AMPLITUDE = 0.5
RESIDUAL_SCALE = 0.2


def apply_init(
    frequencies: np.ndarray,
    encoder_layers: list[Layer],
    decoder_layers: list[Layer],
    positions: nnx.Param,
    *,
    source_positions: int,
) -> None:
    """Overwrite the first values of a new model.

    Args:
        frequencies: float [width / 2], radians per position of the encoder's sinusoids, falling;
            its position table holds all sines, then all cosines.
        encoder_layers, decoder_layers: of the same width.
        positions: the decoder's position table, [tokens, width].
        source_positions: number of the encoder's positions.
    """
    tokens, _ = positions[...].shape
    step = source_positions / tokens
    angles = np.arange(tokens)[:, None] * step * frequencies
    overwrite(positions, AMPLITUDE * np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
    for number, layer in enumerate(encoder_layers):
        heads = layer.attention.heads
        reach = [1 + head // 2 * (number + 1) for head in range(heads)]
        offsets = [-far if head % 2 == 0 else far for head, far in enumerate(reach)]
        _attend(layer.attention, frequencies, offsets, first=0, gain=NEAR_GAIN)
    broad = int(np.sum(frequencies > BROADEST_FREQUENCY))
    for layer in decoder_layers:
        offsets = np.linspace(-MOST_BEHIND * step, 0.0, layer.cross.heads)
        _attend(layer.cross, frequencies, offsets, first=broad, gain=ALONG_GAIN)
    for layer in [*encoder_layers, *decoder_layers]:
        parts = [layer.attention.projection, layer.feed_forward.contract]
        parts += [layer.cross.projection] if hasattr(layer, "cross") else []
        for linear in parts:
            overwrite(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)


def _attend(attention: Attention, frequencies, offsets, *, first: int, gain: float) -> None:
    """Let the heads attend to `offsets`, with as many frequencies as fit, from `first` on."""
    waves = len(frequencies)
    held = attention.query.kernel.shape[1] // attention.heads // 2
    first = min(first, waves - held)
    chosen = np.arange(first, first + held)
    attend_to_offsets(
        attention.query,
        attention.key,
        offsets,
        frequencies[chosen],
        waves + chosen,
        chosen,
        gain=gain,
        noise=NOISE,
    )
