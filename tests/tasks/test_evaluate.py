"""The worst tokens of a language model, kept on disk until they are written."""

import gc
import os

import numpy as np
import pytest

from stages.tasks.text.evaluate import WorstToken, WorstTokenFile, worst_token_rows


class Letters:
    """A tokenizer whose tokens are letters."""

    def decode(self, ids):
        return "".join(chr(97 + one) for one in ids)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "flaxmill/scratch"


def test_rows_in_the_order_of_the_file(cache):
    rng = np.random.default_rng(0)
    tokens = {
        row: WorstToken(
            float(np.float32(rng.random())),
            {"text": rng.integers(0, 26, row % 7).tolist(), "label": [row % 26]},
        )
        for row in range(300)
        if row % 5  # the others have no labels
    }
    kept = WorstTokenFile(300)
    for row in rng.permutation(300).tolist():
        if row in tokens:
            kept.put(row, tokens[row])
    assert list(kept) == list(tokens.values())
    assert list(cache.iterdir()) == []
    rows = worst_token_rows(Letters(), kept)
    assert next(rows) == {
        "text": Letters().decode(tokens[1].tokens["text"]),
        "label": "b",
        "loss": round(tokens[1].loss, 4),
    }
    # Read again from the beginning, whoever else is in the middle of it.
    assert len(list(worst_token_rows(Letters(), kept))) == len(tokens)
    assert len(list(rows)) == len(tokens) - 1


@pytest.mark.filterwarnings("error")
def test_the_file_goes_with_its_owner(cache):
    def opened():
        folder = "/proc/self/fd"
        links = (f"{folder}/{name}" for name in os.listdir(folder))
        return sum(
            os.readlink(link).startswith(str(cache)) for link in links if os.path.islink(link)
        )

    kept = WorstTokenFile(1)
    kept.put(0, WorstToken(1.0, {}))
    assert opened() == 1
    del kept
    gc.collect()
    assert opened() == 0
