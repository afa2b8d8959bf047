"""Another rate, block by block."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from stages.tasks.speech.resample import resampled

SAMPLES = np.random.default_rng(0).normal(0, 0.1, 50_000)


@pytest.mark.parametrize("lengths", [[50_000], [1] * 7 + [9_000, 3, 40_000], [4_096] * 12])
@pytest.mark.parametrize("rate", [1_000, 8_000, 11_025, 16_000, 22_050, 44_100, 47_999, 384_000])
def test_blocks_give_what_the_whole_gives(rate, lengths):
    samples = SAMPLES[: sum(lengths)]
    blocks = np.split(samples, np.cumsum(lengths)[:-1])
    found = np.concatenate(list(resampled(blocks, rate, 16_000)))
    shared = np.gcd(rate, 16_000)
    expected = resample_poly(samples, 16_000 // shared, rate // shared)
    np.testing.assert_array_equal(found, samples if rate == 16_000 else expected)


def test_no_block_gives_none():
    assert list(resampled([], 8_000, 16_000)) == []
