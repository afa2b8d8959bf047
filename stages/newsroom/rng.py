"""Random numbers of our own: the same on every machine and in every Python version."""

import hashlib
from functools import lru_cache

_MASK = (1 << 64) - 1


def words(text: str) -> tuple[str, ...]:
    """A list of words to draw from, as it is written in a table."""
    return tuple(text.split())


# Stems come again and again. Bounded: a world may have millions of names.
@lru_cache(1 << 16)
def bucket(text: str, buckets: int = 10) -> int:
    """A number below `buckets` that depends on the letters of `text` and on nothing else."""
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


class Stream:
    """SplitMix64, started from a key such as `(seed, split, event number, purpose)`.

    Each purpose has a stream of its own, so that a new view or a further draw in one place
    leaves all others as they were.
    """

    def __init__(self, *key: object):
        text = "/".join(map(str, key))
        digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
        self.state = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        """A whole number from 0 up to and without `limit`."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * limit) >> 64

    def percent(self, share: int) -> bool:
        """True in `share` of a hundred draws."""
        return self.below(100) < share

    def pick(self, values):
        """One of `values`, a sequence."""
        return values[self.below(len(values))]

    def sample(self, values, count: int) -> list:
        """`count` different members of `values`, in random order."""
        rest = list(values)
        for i in range(count):
            j = i + self.below(len(rest) - i)
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:count]

    def shuffled(self, values) -> list:
        """All of `values` in random order."""
        return self.sample(values, len(values))
