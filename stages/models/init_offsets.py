"""First values under which attention heads look at fixed offsets; for BERT and Whisper."""

import math
from collections.abc import Sequence

import numpy as np

from stages.models.layers import Linear
from stages.models.parameters import overwrite


def attend_to_offsets(
    query: Linear,
    key: Linear,
    offsets: Sequence[float],
    frequencies: np.ndarray,
    cosines: np.ndarray,
    sines: np.ndarray,
    *,
    gain: float,
    noise: float,
) -> None:
    """Overwrite first values so that each head attends to one offset from the query's position.

    Queries are positions rotated by the offset and keys are positions, so a score is a sum of
    cosines, which is largest where the two meet.

    Args:
        query, key: kernels [width, heads * size].
        offsets: positions ahead, one a head; negative ones lie behind.
        frequencies: radians a position, at most size / 2 of them.
        cosines, sines: for each frequency, the dimension of the input that holds the cosine or
            sine of a position.
        gain: factor of a wave, in query and key alike.
        noise: the fraction of the random values that remains.
    """
    queries, keys = (np.array(linear.kernel[...]) * noise for linear in (query, key))
    size = queries.shape[1] // len(offsets)
    for head, offset in enumerate(offsets):
        for pair, frequency in enumerate(frequencies):
            columns = [head * size + 2 * pair, head * size + 2 * pair + 1]
            entries = np.ix_([cosines[pair], sines[pair]], columns)
            cosine, sine = math.cos(frequency * offset), math.sin(frequency * offset)
            queries[entries] += gain * np.array([[cosine, sine], [-sine, cosine]], np.float32)
            keys[entries] += gain * np.eye(2, dtype=np.float32)
    for linear, values in ((query, queries), (key, keys)):
        overwrite(linear.kernel, values)
