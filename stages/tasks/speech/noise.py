"""Whether a clip is noise from end to end, in which a model would hear words all the same."""

import numpy as np

# The loudness of noise hardly changes, that of speech does with every sound: decibels between the
# frames that are louder than 5 and than 95 of 100.
STEADY = 6.0
# Noise has no pitch: the geometric mean of its spectrum over the arithmetic one, which is near 1 of
# white noise and near 0 of a tone.
FLAT = 0.1
# Fewer frames say nothing of what is steady.
FEWEST_FRAMES = 10


def is_noise(features: np.ndarray, frames: int) -> bool:
    """Whether nothing but steady noise is to be heard.

    Args:
        features: log-mel, float32 [mels, frames], see `LogMel`.
        frames: how many of them hold sound.
    """
    # Without the edges, whose windows reach beyond the sound.
    power = 10.0 ** (4.0 * features[:, 1 : frames - 1].astype(np.float64) - 4.0)
    if power.shape[1] < FEWEST_FRAMES:
        return False
    loudness = 10 * np.log10(power.sum(axis=0))
    softest, loudest = np.percentile(loudness, (5, 95))
    spectrum = power.mean(axis=1)
    flatness = np.exp(np.log(spectrum).mean()) / spectrum.mean()
    return loudest - softest < STEADY and flatness > FLAT
