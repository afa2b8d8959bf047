"""What is noise from end to end, and what is none: tones, words, noise that stops."""

import numpy as np
import pytest
from support import scripts
from support.toy_speech import RATE, encoded, spoken, tone
from transformers import WhisperFeatureExtractor

from stages.tasks.speech.noise import is_noise
from stages.tasks.speech.spectrogram import LogMel

SCRIPT = "run_flax_speech_recognition_seq2seq"
RNG = np.random.default_rng(0)


def heard(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Features of Whisper's own front end, and the frames that hold sound."""
    front = WhisperFeatureExtractor(chunk_length=4)
    log_mel = LogMel(RATE, 4 * RATE, front.n_fft, front.hop_length, front.mel_filters)
    return log_mel(samples), -(-len(samples) * log_mel.frames // (4 * RATE))


def coloured(power: float, seconds: float = 2.0) -> np.ndarray:
    """Noise whose power falls with this power of the frequency."""
    size = int(seconds * RATE)
    spectrum = np.fft.rfft(RNG.normal(size=size))
    spectrum /= np.maximum(np.arange(len(spectrum)), 60) ** (power / 2)
    samples = np.fft.irfft(spectrum, size)
    return 0.3 * samples / np.abs(samples).max()


@pytest.mark.parametrize("loudness", [1.0, 0.01])
@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.5])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_steady_noise(power, seconds, loudness):
    assert is_noise(*heard(loudness * coloured(power, seconds)))


SOUNDS = {
    "a tone": tone(440, 1.0),
    "words": spoken("low mid high"),
    "noise and then nothing": np.concatenate([coloured(0, 1.0), np.zeros(RATE)]),
    "a word in noise": np.concatenate([coloured(0, 1.0), 0.9 * tone(300, 0.5)]) * 0.5
    + 0.02 * coloured(0, 1.5),
    "a blink of noise": coloured(0, 0.05),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_what_is_no_noise(name):
    assert not is_noise(*heard(SOUNDS[name]))


def test_a_clip_without_speech_gets_a_reason_and_no_transcript(beginning, clips, tmp_path):
    """Beside a clip of words, which is transcribed; of noise with a transcript the loss counts."""
    (tmp_path / "noise.wav").write_bytes(encoded(coloured(0, 0.5)))
    (tmp_path / "short.wav").write_bytes(encoded(tone(440, 0.05)))
    lines = ["audio", f"{clips}/0.wav", "noise.wav", "short.wav"]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    said = scripts.call(
        SCRIPT, f"--model_name_or_path={beginning}", "--from_scratch",
        f"--test_file={tmp_path / 'new.csv'}", f"--output_dir={tmp_path / 'out'}", "--do_predict",
    )  # fmt: skip
    assert "(noise.wav): noise from end to end, and no speech\n" in said
    words, noise, short = scripts.json_lines(tmp_path / "out/predictions.json")
    assert isinstance(words["prediction"], str)
    assert (noise["prediction"], noise["refused"]) == (None, "noise from end to end, and no speech")
    assert (short["prediction"], short["refused"]) == (None, "0.05 s of audio, less than 0.1")
    labelled = ["audio,text", f"{clips}/0.wav,low", "noise.wav,mid"]
    (tmp_path / "known.csv").write_text("\n".join(labelled) + "\n")
    scripts.call(
        SCRIPT, f"--model_name_or_path={beginning}", "--from_scratch",
        f"--validation_file={tmp_path / 'known.csv'}", f"--output_dir={tmp_path / 'eval'}",
        "--do_eval",
    )  # fmt: skip
    assert scripts.results(tmp_path / "eval")["eval_samples"] == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encoded(tone(440))[:43], "the wav file is cut off or damaged"),
        (b"\xff\xfb\x90\x00" + bytes(39), "no audio|cut off|no sample"),
        (bytes(43), "no audio"),
        (encoded(np.zeros(RATE)), "1.00 s of silence"),
    ],
)  # fmt: skip
def test_what_cannot_be_heard_is_refused(content, said, beginning, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    (tmp_path / "new.csv").write_text("audio\na.wav\n")
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={beginning}", "--from_scratch",
        f"--test_file={tmp_path / 'new.csv'}", f"--output_dir={tmp_path / 'out'}", "--do_predict",
    )  # fmt: skip
    assert any(part in line for part in said.split("|")), line
    assert not (tmp_path / "out/predictions.json").exists()
