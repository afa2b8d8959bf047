"""Masks over time and over frequency: a clip is never seen twice in the same way."""

import numpy as np

from stages.data.batching import Batch


class SpecAugment:
    """SpecAugment (Park et al. 2019) without time warping, as the model's configuration says.

    Args:
        config: a Whisper configuration; `mask_time_prob`, `mask_time_length`,
            `mask_time_min_masks`, and the same for `mask_feature`, are read.
        seed: of the masks; those of a step depend on nothing but seed and step.

    A mask covers `length` frames (or mel bands) and sets them to zero. There are as many as would
    cover the share `prob` if none overlapped, rounded up or down by chance, and at least
    `min_masks`; frames behind the clip's end are none of it.
    """

    def __init__(self, config, seed: int):
        self.time = (config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks)
        self.bands = (
            config.mask_feature_prob,
            config.mask_feature_length,
            config.mask_feature_min_masks,
        )
        self.seed = seed

    def __call__(self, batch: Batch, step: int) -> Batch:
        """`batch` with masks in `input_features` [rows, mels, frames] up to its `frames`."""
        rng = np.random.default_rng([self.seed, step])
        features = batch.arrays["input_features"]
        for row, frames in enumerate(batch.arrays["frames"]):
            for start, stop in _spans(rng, int(frames), *self.time):
                features[row, :, start:stop] = 0.0
            for start, stop in _spans(rng, features.shape[1], *self.bands):
                features[row, start:stop] = 0.0
        return batch


def _spans(
    rng: np.random.Generator, size: int, probability: float, length: int, at_least: int
) -> list[tuple[int, int]]:
    """Starts and stops of the masks over `size` places."""
    if probability <= 0 or size < length:
        return []
    count = max(int(probability * size / length + rng.random()), at_least)
    starts = rng.integers(0, size - length + 1, size=min(count, size // length))
    return [(int(start), int(start) + length) for start in starts]
