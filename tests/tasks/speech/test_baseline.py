"""The baseline of speech recognition."""

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
