"""Random numbers that are the same on every machine and in every Python version."""

import hashlib
from functools import lru_cache

_MASK = (1 << 64) - 1


def words(text: str) -> tuple[str, ...]:
    """Split a string of words."""
    return tuple(text.split())


# Stems repeat. The cache is bounded, as there may be millions of names.
@lru_cache(1 << 16)
def bucket(text: str, buckets: int = 10) -> int:
    """The bucket of `text`, an int from 0 to `buckets` - 1, by its hash."""
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


class Stream:
    """SplitMix64, started from a key such as `(seed, split, event number, purpose)`.

    Each purpose has its own stream, so that a new view or a further draw in one place does not
    change any other.
    """

    def __init__(self, *key: object):
        text = "/".join(map(str, key))
        digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
        self.state = int.from_bytes(digest, "big")

    def randrange(self, limit: int) -> int:
        """An int from 0 to `limit` - 1."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * limit) >> 64

    def percent(self, share: int) -> bool:
        """True with a probability of `share` per cent."""
        return self.randrange(100) < share

    def choice(self, values):
        """An element of the sequence `values`."""
        return values[self.randrange(len(values))]

    def sample(self, values, count: int) -> list:
        """`count` different elements of `values`, in random order."""
        rest = list(values)
        for i in range(count):
            j = i + self.randrange(len(rest) - i)
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:count]

    def shuffled(self, values) -> list:
        """All of `values` in random order."""
        return self.sample(values, len(values))
