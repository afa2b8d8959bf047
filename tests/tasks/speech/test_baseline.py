"""The baseline of speech recognition."""

import pytest
from support.toy_speech import write_folder

from stages.tasks.speech.baseline import measure
from stages.tasks.speech.convert import Source, convert


def test_baseline(tmp_path):
    words = {"train": ["low", "mid", "high", "low"], "test": ["low", "mid", "mid"]}
    data = tmp_path / "data"
    data.mkdir()
    for split, texts in words.items():
        folder = write_folder(tmp_path / split, texts)
        convert(str(folder), data / f"{split}.parquet", Source(source=str(tmp_path)))
    found = measure(str(data))
    assert found["most_frequent"]["wer"] == 2 / 3
    assert found["nearest"]["wer"] == 0


@pytest.mark.parametrize(
    ("settings", "errors"),
    [
        ({}, 0),
        ({"normalisation": "none"}, 0),
        ({"normalisation": "none", "do_lower_case": False}, 1),
        ({"do_lower_case": False}, 0),
    ],
)
def test_it_forgives_what_the_model_is_forgiven(tmp_path, settings, errors):
    """`Low` for `low` is an error only where neither case nor marks are taken away."""
    data = tmp_path / "data"
    data.mkdir()
    for split, text in (("train", "Low"), ("test", "low")):
        folder = write_folder(tmp_path / split, [text])
        convert(str(folder), data / f"{split}.parquet", Source(source=str(tmp_path)))
    found = measure(str(data), **settings)
    assert found["most_frequent"]["wer"] == found["nearest"]["wer"] == errors
