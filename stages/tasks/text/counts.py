"""Simple methods, a module a task: `measure(folder)` gives method to metrics of the test split."""

from collections import Counter

import numpy as np

# Weight of the less specific counts against the more specific ones.
BACKOFF = 5.0


def frequencies(rows: list[np.ndarray], size: int) -> np.ndarray:
    """How often each token stands in the rows, as probabilities above 0, float64 [size]."""
    unigram = np.bincount(np.concatenate(rows), minlength=size) + 1.0
    return unigram / unigram.sum()


def smooth(seen: Counter, below: np.ndarray) -> np.ndarray:
    """Probabilities from counts, backed off to less specific ones (Dirichlet smoothing).

    Args:
        seen: token to count.
        below: float64 [size], what is assumed before anything is counted.
    """
    counts = np.zeros(len(below))
    counts[list(seen.keys())] = list(seen.values())
    return (counts + BACKOFF * below) / (counts.sum() + BACKOFF)
