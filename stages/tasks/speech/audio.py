"""Audio out of the bytes of a file: decoded, checked, at one rate; its log-mel spectrogram.

This is what a worker process imports: nothing of JAX, and nothing that is slow to import.
"""

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
import scipy.fft
import soundfile

from stages.core.errors import InputError

# A clip whose loudest sample stays below this (full scale is 1) holds no speech: -80 dB, a little
# over the last bit of 16.
SILENCE = 1e-4

_BLOCK = 2**20


def decode(content: bytes, rate: int, where: str) -> np.ndarray:
    """Samples of one channel at `rate`.

    Reads what libsndfile reads: wav, flac, ogg (Vorbis, Opus), mp3 and more. Channels are
    averaged, and another rate is resampled through a polyphase filter.

    Args:
        content: the whole file.
        rate: samples a second that are wanted.
        where: the place of the clip, for a message.

    Returns:
        float32 [samples], full scale 1.

    Raises:
        InputError: an empty file, an unknown codec, a file that is cut off, no samples, samples
            that are no numbers, silence. Of an mp3 without a header of its length, and of a file
            cut between two pages or frames by a program that closed it, this cannot be detected.
    """
    if not content:
        raise InputError(f"{where}: the file is empty; give another, or leave the row out")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            blocks, found = [], file.samplerate
            expected = file.frames if file.format == "MP3" else 0
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
    except soundfile.SoundFileError as error:
        reason = str(error).split(">: ")[-1].removeprefix("Error : ").rstrip(".")
        cut = f"the {_kind(content)} file is cut off or damaged" if _kind(content) else "no audio"
        raise InputError(
            f"{where}: {cut} ({reason}); give a whole wav, flac, ogg or mp3 file"
        ) from None
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    if _cut_off(content) or len(samples) < expected:
        raise InputError(
            f"{where}: the {_kind(content)} file is cut off or damaged (only "
            f"{len(samples) / found:.2f} s can be read); give the whole file"
        )
    if not len(samples):
        raise InputError(f"{where}: no sample in the file; give another, or leave the row out")
    samples = samples.mean(axis=1, dtype=np.float64)
    if not np.isfinite(samples).all():
        raise InputError(f"{where}: samples that are not finite; write the file again")
    if np.abs(samples - samples.mean()).max() < SILENCE:
        raise InputError(
            f"{where}: {len(samples) / found:.2f} s of silence; give another file, or leave the "
            "row out"
        )
    if found != rate:
        # Imported here: it takes a second, and audio that `fetch` wrote does not need it.
        from scipy.signal import resample_poly

        shared = math.gcd(found, rate)
        samples = resample_poly(samples, rate // shared, found // shared)
    return samples.astype(np.float32)


def _kind(content: bytes) -> str | None:
    """What the first bytes claim the file to be."""
    for mark, name in ((b"RIFF", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3")):
        if content.startswith(mark):
            return name
    # An mp3 may begin with a frame: eleven bits set.
    return "mp3" if content[:1] == b"\xff" and content[1:2] >= b"\xe0" else None


def _cut_off(content: bytes) -> bool:
    """Whether a wav or an ogg file ends before it says: libsndfile reads on without a word."""
    if content.startswith(b"RIFF"):
        at = 12
        while at + 8 <= len(content):
            name, size = struct.unpack_from("<4sI", content, at)
            if name == b"data":
                # A stream that was never closed has no size: all bits set.
                return size != 2**32 - 1 and at + 8 + size > len(content)
            at += 8 + size + size % 2
        return True
    if content.startswith(b"OggS"):
        last = content.rfind(b"OggS")
        header = content[last : last + 27]
        if len(header) < 27:
            return True
        lengths = content[last + 27 : last + 27 + header[26]]
        whole = len(content) >= last + 27 + header[26] + sum(lengths)
        return not (whole and header[5] & 4)
    return False


def encode(content: bytes, rate: int, where: str) -> bytes:
    """The clip as FLAC of 16 bits, one channel at `rate`; one that is so already stays as it is.

    Raises:
        InputError: as in `decode`.
    """
    samples = decode(content, rate, where)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        form = (file.format, file.subtype, file.channels, file.samplerate)
    if form == ("FLAC", "PCM_16", 1, rate):
        return content
    scaled = np.clip(np.rint(samples.astype(np.float64) * 2**15), -(2**15), 2**15 - 1)
    out = io.BytesIO()
    soundfile.write(out, scaled.astype(np.int16), rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


@dataclass(frozen=True)
class LogMel:
    """Whisper's log-mel spectrogram, computed without PyTorch whether or not it is installed.

    rate: samples a second.
    samples: length of a clip, filled up with zeros.
    n_fft: samples of a window.
    hop_length: samples between two windows.
    filters: float64 [n_fft / 2 + 1, mels], the mel filters.

    As in Radford et al. 2022 (Robust Speech Recognition via Large-Scale Weak Supervision): Hann
    windows centred on their frame, power through the filters, log10 no more than 8 below the
    clip's largest, then (x + 4) / 4.
    """

    rate: int
    samples: int
    n_fft: int
    hop_length: int
    filters: np.ndarray

    @property
    def frames(self) -> int:
        """Frames of every clip."""
        return self.samples // self.hop_length

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """float32 [mels, frames] of a clip [samples], which is at most `samples` long or is cut."""
        clip = clip[: self.samples].astype(np.float64)
        clip = np.pad(clip, (0, self.samples - len(clip)))
        clip = np.pad(clip, self.n_fft // 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(clip, self.n_fft)[:: self.hop_length]
        hann = np.hanning(self.n_fft + 1)[:-1]
        spectrum = scipy.fft.rfft(windows[: self.frames] * hann, axis=-1)
        mels = self.filters.T @ (spectrum.real**2 + spectrum.imag**2).T
        logs = np.log10(np.maximum(mels, 1e-10))
        logs = np.maximum(logs, logs.max() - 8.0)
        return ((logs + 4.0) / 4.0).astype(np.float32)


def features_of(
    content: bytes, log_mel: LogMel, where: str
) -> tuple[np.ndarray, float] | InputError:
    """Features and seconds of a clip; a refusal is returned, for the caller to raise in order."""
    try:
        clip = decode(content, log_mel.rate, where)
    except InputError as error:
        return error
    return log_mel(clip), len(clip) / log_mel.rate
