"""What a `preprocessor_config.json` may ask for."""

import json
import shutil
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.tasks.speech.extractor import load_extractor


@pytest.fixture
def folder(checkpoint, tmp_path):
    return Path(shutil.copytree(checkpoint("whisper"), tmp_path / "whisper"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature_size": 10**9}, "feature_size is 1000000000; expected a whole number"),
        ({"feature_size": "80"}, "feature_size is '80'"),
        ({"sampling_rate": 0}, "sampling_rate is 0"),
        ({"sampling_rate": True}, "sampling_rate is True"),
        ({"hop_length": -1}, "hop_length is -1"),
        ({"chunk_length": 10**12}, "chunk_length is 1000000000000"),
        ({"n_fft": 2**40}, "n_fft is "),
        ({"n_fft": [400]}, r"n_fft is \[400\]"),
        ({"dither": "much"}, "dither is 'much'"),
        ({"feature_extractor_type": "x" * 10**6}, "is of a xxx"),
    ],
)
def test_a_value_of_the_wrong_kind(changes, said, folder):
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(InputError, match=said) as error:
        load_extractor(str(folder))
    assert str(error.value).startswith(f"{folder}: ")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("text", ["[1]", "5", "[" * 100_000, "{", "\0"])
def test_a_file_that_holds_something_else(text, folder):
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(InputError, match=r"preprocessor_config\.json cannot be read") as error:
        load_extractor(str(folder))
    assert "\n" not in str(error.value)
