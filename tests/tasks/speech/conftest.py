"""Fixtures of the tests of speech: a model and clips."""

import numpy as np
import pytest
from support.toy_models import make_whisper
from support.toy_speech import write_folder


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """The folder of a new model: one layer, three words, a second of sound."""
    return make_whisper(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with 16 clips of one to three words."""
    rng = np.random.default_rng(0)
    words = ["Low", "mid", "high"]
    texts = [" ".join(rng.choice(words, rng.integers(1, 4))) for _ in range(16)]
    return write_folder(tmp_path_factory.mktemp("clips") / "all", texts)
