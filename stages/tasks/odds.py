"""From scores to probabilities, the same on every processor."""

import math
from collections.abc import Sequence


def softmax(scores: Sequence[float]) -> list[float]:
    """The share of each score, which sum to 1.

    Of Python's exponentials: NumPy's differ between processors in the last bit.
    """
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
