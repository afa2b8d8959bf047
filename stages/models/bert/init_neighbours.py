"""First values under which a small encoder attends to neighbours and repetitions from the start.

From the usual random values a small masked language model spends its first thousand steps on a
plateau: it must find out how positions relate before it can learn anything from context. Three
changes, to the first values alone, avoid the plateau. The figures of README.md use them; the saved
models are ordinary ones.

1. Positions, segments and tokens do not mix. Of the last `width / heads` dimensions one holds the
   segment as a sign and the others the position, as sine and cosine of geometric frequencies
   (Vaswani et al. 2017, without the slow ones). The remaining dimensions hold the token.
2. The heads of the first layer attend to the tokens 1 before, 1 after, 2 before, 2 after, and so
   on: queries are positions rotated by that offset, keys are positions.
3. In the layers above, query and key start equal and ignore positions: tokens attend to tokens
   with similar neighbours, which finds other occurrences of a name (Trockman and Kolter 2023,
   arXiv:2305.09828, without its value matrices). Every second head prefers the other segment, so
   that two texts are compared.

Projections into the residual stream start small, so that the layers start near the identity.
"""

import math

import numpy as np

from stages.models.init_offsets import attend_to_offsets
from stages.models.layers import Embedding
from stages.models.parameters import geometric, overwrite

# Periods from about three tokens to more than a hundred: few dimensions tell every offset up to
# the length of a row from its neighbours.
HIGHEST_FREQUENCY, LOWEST_FREQUENCY = 2.0, 0.05
# How sharply a first-layer head attends to its offset, and the share of random values it keeps.
SHARPNESS, NOISE = 3.0, 0.3
# Size of a segment's sign relative to the other values, and its weight in a head.
SEGMENT, CONTRAST = 2.0, 1.7
RESIDUAL_SCALE = 0.2


def apply_init(
    positions: Embedding,
    tokens: Embedding,
    segments: Embedding | None,
    layers: list,
    *,
    heads: int,
    std: float,
    first_position: int,
) -> None:
    """Overwrite the first values of a new encoder.

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
    frequencies = geometric(HIGHEST_FREQUENCY, LOWEST_FREQUENCY, size // 2 - 1)
    columns = slice(start, start + 2 * len(frequencies))

    table = np.zeros(positions.embedding.shape, np.float32)
    angles = np.arange(len(table) - first_position)[:, None] * frequencies
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)
    table[first_position:, columns] = waves * std * math.sqrt(2)
    overwrite(positions.embedding, table)
    values = np.array(tokens.embedding[...])
    values[:, start:] = 0
    overwrite(tokens.embedding, values)
    if segments is not None:
        values = np.zeros(segments.embedding.shape, np.float32)
        values[:, sign] = SEGMENT * std * (-1.0) ** np.arange(len(values))
        overwrite(segments.embedding, values)

    offsets = [(head // 2 + 1) * (-1 if head % 2 == 0 else 1) for head in range(heads)]
    attend_to_offsets(
        layers[0].query,
        layers[0].key,
        offsets,
        frequencies,
        np.arange(columns.start, columns.stop, 2),
        np.arange(columns.start, columns.stop, 2) + 1,
        gain=math.sqrt(SHARPNESS),
        noise=NOISE,
    )
    for layer in layers[1:]:
        values = np.array(layer.query.kernel[...])
        values[start:] = 0
        across = np.zeros_like(values)
        across[sign, :: 2 * size] = CONTRAST
        overwrite(layer.query.kernel, values - across)
        overwrite(layer.key.kernel, values + across)
    for layer in layers:
        for linear in (layer.projection, layer.contract):
            overwrite(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)
