"""Samples to features, kept and made again; what makes them in other processes."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from support.toy_speech import RATE, encoded, tone, write_folder
from transformers import WhisperFeatureExtractor
from transformers.models.whisper import feature_extraction_whisper

from stages.core.errors import InputError
from stages.data.cache import RowCache
from stages.tasks.speech.audio import decode
from stages.tasks.speech.examples import read_examples
from stages.tasks.speech.features import _jobs, compute_features
from stages.tasks.speech.spectrogram import LogMel


@pytest.mark.parametrize(
    "options", [{}, {"chunk_length": 2, "hop_length": 320}, {"feature_size": 40, "n_fft": 512}]
)
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
def test_features_are_those_of_whisper(options, seconds, monkeypatch):
    # The library takes another path, equal to 1e-5, where PyTorch is installed.
    monkeypatch.setattr(feature_extraction_whisper, "is_torch_available", lambda: False)
    extractor = WhisperFeatureExtractor(**options)
    clip = np.random.default_rng(1).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)
    expected = extractor(clip, sampling_rate=RATE).input_features[0]
    features = log_mel(**options)(clip)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=2e-6)


def log_mel(**options) -> LogMel:
    extractor = WhisperFeatureExtractor(**options)
    return LogMel(
        RATE, extractor.n_samples, extractor.n_fft, extractor.hop_length, extractor.mel_filters
    )


SHORT = {"chunk_length": 1, "hop_length": 320, "feature_size": 16}


@pytest.fixture
def clips(tmp_path):
    return read_examples(write_folder(tmp_path / "clips", ["low mid", "high", "mid"]))


def test_features_of_a_data_set(clips, tmp_path):
    features = compute_features(clips, log_mel(**SHORT), RowCache(tmp_path))
    assert len(features.arrays) == len(features) == 3
    assert features.seconds.tolist() == [0.4, 0.2, 0.2]
    for row, content in enumerate(clips.contents()):
        expected = log_mel(**SHORT)(decode(content, RATE, ""))
        assert features.arrays[row].shape == (16, 50)
        assert features.arrays[row].dtype == np.float32
        np.testing.assert_array_equal(features.arrays[row], expected)
        # A view of the file, not a copy.
        assert not features.arrays[row].flags.writeable
        assert not features.arrays[row].flags.owndata


def test_kept_features_are_used_again_and_only_for_the_same(clips, tmp_path, monkeypatch):
    cache = RowCache(tmp_path / "kept")
    first = compute_features(clips, log_mel(**SHORT), cache)

    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("stages.tasks.speech.features._computed", never)
    # Other code of the project than that of features does not count.
    monkeypatch.setattr("stages.data.cache._code", lambda: ["other"])
    again = compute_features(clips, log_mel(**SHORT), cache)
    assert again.arrays == first.arrays
    assert again.arrays.fingerprint == first.arrays.fingerprint
    assert again.seconds.tolist() == [0.4, 0.2, 0.2]
    with pytest.raises(AssertionError):  # another extractor
        compute_features(clips, log_mel(**{**SHORT, "hop_length": 160}), cache)
    with pytest.raises(AssertionError):  # fewer rows
        compute_features(clips.first(2), log_mel(**SHORT), cache)
    clips.file(1).write_bytes(encoded(tone(500)))
    with pytest.raises(AssertionError):  # another sound under the same name
        compute_features(clips, log_mel(**SHORT), cache)


def test_other_code_of_features_makes_them_again(clips, tmp_path, monkeypatch):
    changed = tmp_path / "resample.py"
    changed.write_text("# changed")
    cache = RowCache(tmp_path / "kept")
    for _ in range(2):
        compute_features(clips, log_mel(**SHORT), cache)
        monkeypatch.setattr("stages.tasks.speech.resample.__file__", str(changed))
    assert len([path for path in (tmp_path / "kept/rows").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "manifest"])
def test_damaged_features_are_made_again(damage, clips, tmp_path, capsys):
    cache = RowCache(tmp_path)
    before = [np.array(row) for row in compute_features(clips, log_mel(**SHORT), cache).arrays]
    (folder,) = tmp_path.glob("rows/speech-features-*")
    file = folder / ("manifest.json" if damage == "manifest" else "rows.arrow")
    content = file.read_bytes()
    # Replaced, not written into: it is mapped.
    file.unlink()
    if damage == "changed":
        file.write_bytes(content[:-2000] + bytes(4) + content[-1996:])
    else:
        file.write_bytes(content[: len(content) // 2])
    after = compute_features(clips, log_mel(**SHORT), cache)
    assert after.arrays == before
    assert file.read_bytes() == content
    assert "damaged" in capsys.readouterr().out


def test_features_where_the_cache_cannot_be_written(clips, tmp_path, monkeypatch, capsys):
    before = compute_features(clips, log_mel(**SHORT), RowCache(tmp_path / "kept"))

    def refused(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("stages.data.cache._acquire", refused)
    after = compute_features(clips, log_mel(**SHORT), RowCache(tmp_path / "read-only"))
    assert after.arrays == before.arrays
    assert "kept for this run alone" in capsys.readouterr().out


def test_a_refused_clip_is_named_and_leaves_nothing(clips, tmp_path):
    clips.file(1).write_bytes(encoded(np.zeros(RATE)))
    with pytest.raises(InputError, match=r"metadata.jsonl, line 2 \(1.wav\): 1.00 s of silence"):
        compute_features(clips, log_mel(**SHORT), RowCache(tmp_path / "kept"))
    assert [path for path in (tmp_path / "kept/rows").iterdir() if path.is_dir()] == []


def test_a_folder_that_cannot_hold_features(clips, tmp_path):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(InputError, match=r"rows cannot be kept there .* --cache_dir"):
        compute_features(clips, log_mel(**SHORT), RowCache(tmp_path / "kept"))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize(
    "waiting",
    [20_000, *(pytest.param(size, marks=pytest.mark.slow(seconds=3)) for size in (2**28, 0))],
)
def test_worker_processes_give_the_same(waiting, tmp_path, monkeypatch, capfd):
    texts = ["low mid", "high", "mid low", "low"] * 3
    clips = read_examples(write_folder(tmp_path / "clips", texts))
    alone = compute_features(clips, log_mel(**SHORT), workers=1)
    monkeypatch.setattr("stages.tasks.speech.features._CLIPS_A_WORKER", 4)
    monkeypatch.setattr("stages.tasks.speech.features._CLIPS_A_JOB", 1)
    monkeypatch.setattr("stages.tasks.speech.features._BYTES_WAITING", waiting)
    monkeypatch.setattr("stages.tasks.speech.features._CHUNK", 5)
    monkeypatch.setattr("stages.core.progress.INTERVAL", 0)
    together = compute_features(clips, log_mel(**SHORT), workers=2)
    assert together.arrays == alone.arrays
    assert together.seconds.tolist() == alone.seconds.tolist()
    assert "clip 12/12" in capfd.readouterr().out
    clips.file(7).write_bytes(b"")
    with pytest.raises(InputError, match=r"line 8 \(7.wav\): the file is empty"):
        compute_features(clips, log_mel(**SHORT), workers=2)


def test_a_job_is_a_few_clips_or_one_long_one(monkeypatch):
    monkeypatch.setattr("stages.tasks.speech.features._CLIPS_A_JOB", 3)
    monkeypatch.setattr("stages.tasks.speech.features._BYTES_A_JOB", 9)
    clips = [(bytes(size), "") for size in (1, 1, 1, 1, 20, 9, 1, 1)]
    assert [[len(clip[0]) for clip in job] for job in _jobs(clips)] == [
        [1, 1, 1],
        [1, 20],
        [9, 1],
        [1],
    ]


def test_a_worker_imports_neither_jax_nor_transformers():
    code = (
        "import sys, stages.tasks.speech.spectrogram; "
        "print([n for n in ('jax', 'torch', 'transformers', 'datasets') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
