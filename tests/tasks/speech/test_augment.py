"""Masks over time and bands."""

from types import SimpleNamespace

import numpy as np
import pytest

from stages.data.batching import Batch
from stages.tasks.speech.augment import SpecAugment


def masked(step=0, seed=1, frames=100, **keys):
    names = ("prob", "length", "min_masks")
    config = SimpleNamespace(
        **{f"mask_{kind}_{name}": 0 for kind in ("time", "feature") for name in names}
    )
    vars(config).update(keys)
    features = np.ones((4, 20, 100), np.float32)
    arrays = {"input_features": features, "frames": np.full(4, frames, np.int32)}
    SpecAugment(config, seed)(Batch(np.arange(4), arrays), step)
    return features


TIME = {"mask_time_prob": 0.2, "mask_time_length": 10, "mask_time_min_masks": 2}

BANDS = {"mask_feature_prob": 0.25, "mask_feature_length": 5, "mask_feature_min_masks": 0}


def test_masks_over_time():
    for row in masked(**TIME):
        # Whole frames, all bands; two masks of ten frames that may overlap.
        silent = (row == 0).all(axis=0)
        assert ((row == 0).any(axis=0) == silent).all()
        assert 10 <= silent.sum() <= 20


def test_masks_over_bands():
    for row in masked(**BANDS):
        silent = (row == 0).all(axis=1)
        assert ((row == 0).any(axis=1) == silent).all()
        assert 5 <= silent.sum() <= 10


def test_masks_stay_within_the_clip():
    for row in masked(frames=30, **TIME):
        assert (row[:, 30:] == 1).all()
        assert (row[:, :30] == 0).any()
    assert (masked(frames=8, **TIME) == 1).all()


def test_masks_cover_their_share():
    # 100 steps of 4 rows: 1.5 masks of 10 frames on average, hardly ever overlapping much.
    shares = [(masked(step, mask_time_prob=0.15, mask_time_length=10) == 0).mean()
              for step in range(100)]  # fmt: skip
    assert np.mean(shares) == pytest.approx(0.145, abs=0.01)


def test_masks_depend_on_seed_and_step():
    assert (masked(3, **TIME) == masked(3, **TIME)).all()
    assert (masked(3, **TIME) != masked(4, **TIME)).any()
    assert (masked(3, **TIME) != masked(3, seed=2, **TIME)).any()
    assert (masked(3) == 1).all()
