"""From the synthesiser's samples to the audio of the data set: 16 kHz, 16 bits, mono, FLAC."""

import io
from functools import cache
from math import gcd

import numpy as np
import soundfile
from scipy.signal import firwin, resample_poly

SAMPLE_RATE = 16_000
MAX_SECONDS = 4.0
# Silence stays 40 dB below the loudest sample; a margin of it is kept at both ends.
_SILENCE = 0.01
_MARGIN_SECONDS = 0.05
_ZERO_CROSSINGS = 10


@cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """The filter of `resample_poly`, computed once instead of for each utterance."""
    half = _ZERO_CROSSINGS * max(up, down)
    return firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))


def finish(samples: bytes, sample_rate: int, level: int) -> np.ndarray:
    """Trim, resample and set the level.

    Args:
        samples: int16, mono.
        sample_rate: of the samples, in hertz.
        level: of the largest sample, in decibels below full scale.

    Returns:
        int16 [samples] at `SAMPLE_RATE`.

    Raises:
        ValueError: there is only silence, or `MAX_SECONDS` or more.
    """
    wave = np.frombuffer(samples, "<i2").astype(np.float64)
    loudness = np.abs(wave)
    if not loudness.any():
        raise ValueError("the synthesiser returned only silence")
    sounding = np.flatnonzero(loudness > _SILENCE * loudness.max())
    margin = int(_MARGIN_SECONDS * sample_rate)
    wave = wave[max(0, sounding[0] - margin) : sounding[-1] + margin]
    common = gcd(SAMPLE_RATE, sample_rate)
    up, down = SAMPLE_RATE // common, sample_rate // common
    wave = resample_poly(wave, up, down, window=_low_pass(up, down))
    if len(wave) >= MAX_SECONDS * SAMPLE_RATE:
        raise ValueError(f"{len(wave) / SAMPLE_RATE:.2f} seconds, {MAX_SECONDS:g} or more")
    full_scale = 32767 * 10 ** (-level / 20)
    return np.rint(wave * (full_scale / np.abs(wave).max())).astype(np.int16)


def encode(wave: np.ndarray, form: str = "FLAC") -> bytes:
    """Encode int16 [samples] at `SAMPLE_RATE` as the bytes of a `FLAC` or `WAV` file."""
    file = io.BytesIO()
    # FLAC's highest compression: 4 % smaller, for half a millisecond.
    effort = {"compression_level": 1.0} if form == "FLAC" else {}
    soundfile.write(file, wave, SAMPLE_RATE, format=form, subtype="PCM_16", **effort)
    return file.getvalue()
