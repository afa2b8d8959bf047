"""Another rate for samples that come in blocks."""

import math
from collections.abc import Iterable, Iterator

import numpy as np


def resampled(blocks: Iterable[np.ndarray], found: int, rate: int) -> Iterator[np.ndarray]:
    """The samples at another rate: what `scipy.signal.resample_poly` gives of all of them at once.

    Args:
        blocks: float64 [samples] each, at `found` samples a second.
        found, rate: samples a second.

    Returns:
        Blocks, float64 [samples] each, at `rate`.
    """
    if found == rate:
        yield from blocks
        return
    # Imported here: it takes a second, and audio that `fetch` wrote does not need it.
    from scipy.signal import firwin, resample_poly

    shared = math.gcd(found, rate)
    up, down = rate // shared, found // shared
    reach = 10 * max(up, down)  # of the filter to either side, in samples at `found * up`
    window = firwin(2 * reach + 1, 1 / max(up, down), window=("kaiser", 5.0))
    # `down` samples become `up`; the number of such groups that the filter reaches.
    margin = -(-reach // (up * down)) * down
    # The samples that are not used up: `lead` of them were given before, and are only reached.
    held, lead = np.zeros(0), 0
    for block in blocks:
        held = np.concatenate([held, block])
        size = (len(held) - lead - margin) // down * down
        if size <= 0:
            continue
        found_here = resample_poly(held[: lead + size + margin], up, down, window=window)
        yield found_here[lead // down * up : (lead + size) // down * up]
        kept = min(margin, lead + size)
        held, lead = held[lead + size - kept :], kept
    if len(held) > lead:
        yield resample_poly(held, up, down, window=window)[lead // down * up :]
