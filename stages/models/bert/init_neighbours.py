"""First values under which a small encoder sees its neighbours, and repetitions, at once.

Trained from the usual random start, a small masked language model spends its first thousand steps
on a plateau: it has to find out how positions relate before it can learn anything from context.
Three changes to the first values, and to nothing else, spare it that. The figures of README.md come
from them; checkpoints stay ordinary ones.

1. Positions, segments and tokens do not mix: of the last `width / heads` dimensions one holds the
   segment as a sign, the others the position, as sine and cosine of geometric frequencies
   (Vaswani et al. 2017, but none of them slow); the other dimensions hold the token.
2. The heads of the first layer look at the tokens 1 before, 1 after, 2 before, 2 after, and so on:
   queries are positions rotated by that offset, keys are positions.
3. Above it, query and key start equal, and blind to positions: tokens attend to tokens with
   similar neighbours, which is how a name is found where it stands a second time (the idea of
   Trockman and Kolter 2023, arXiv:2305.09828, less its value matrices). Every second head prefers
   the other segment, so that of two texts each is read against the other.

Projections into the residual stream start small, so that the layers begin near the identity.
"""

import math

import numpy as np

from stages.models.layers import Embedding, look_at_offsets, set_values

# From about three tokens a turn to a hundred and more: every offset up to the length of a row
# differs from its neighbours, in few dimensions.
HIGHEST_FREQUENCY, LOWEST_FREQUENCY = 2.0, 0.05
# How sharply a first-layer head looks at its offset, and how much randomness it keeps.
SHARPNESS, NOISE = 3.0, 0.3
# How far a segment's sign stands out among the other values, and what a head makes of it.
SEGMENT, CONTRAST = 2.0, 1.7
RESIDUAL_SCALE = 0.2


def arrange(
    positions: Embedding,
    tokens: Embedding,
    segments: Embedding | None,
    layers: list,
    *,
    heads: int,
    std: float,
    first_position: int,
) -> None:
    """Overwrite the values of a newly initialised encoder.

    Args:
        positions: the position table [positions, width].
        tokens: the token table [vocabulary, width].
        segments: the segment table [segments, width], if the model has one.
        layers: modules with `query`, `key`, `projection` and `contract`.
        heads: attention heads of a layer.
        std: standard deviation of the other first values.
        first_position: row of the first token's position; rows before it are zero.
    """
    width = positions.embedding.shape[1]
    size = width // heads
    start, sign = width - size, width - 1
    frequencies = np.geomspace(HIGHEST_FREQUENCY, LOWEST_FREQUENCY, size // 2 - 1)
    places = slice(start, start + 2 * len(frequencies))

    table = np.zeros(positions.embedding.shape, np.float32)
    angles = np.arange(len(table) - first_position)[:, None] * frequencies
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)
    table[first_position:, places] = waves * std * math.sqrt(2)
    set_values(positions.embedding, table)
    values = np.array(tokens.embedding[...])
    values[:, start:] = 0
    set_values(tokens.embedding, values)
    if segments is not None:
        values = np.zeros(segments.embedding.shape, np.float32)
        values[:, sign] = SEGMENT * std * (-1.0) ** np.arange(len(values))
        set_values(segments.embedding, values)

    offsets = [(head // 2 + 1) * (-1 if head % 2 == 0 else 1) for head in range(heads)]
    look_at_offsets(
        layers[0].query,
        layers[0].key,
        offsets,
        frequencies,
        np.arange(places.start, places.stop, 2),
        np.arange(places.start, places.stop, 2) + 1,
        gain=math.sqrt(SHARPNESS),
        noise=NOISE,
    )
    for layer in layers[1:]:
        values = np.array(layer.query.kernel[...])
        values[start:] = 0
        across = np.zeros_like(values)
        across[sign, :: 2 * size] = CONTRAST
        set_values(layer.query.kernel, values - across)
        set_values(layer.key.kernel, values + across)
    for layer in layers:
        for linear in (layer.projection, layer.contract):
            set_values(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)
