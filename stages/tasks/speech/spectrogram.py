"""The log-mel spectrogram of a clip.

This is what a worker process imports: nothing of JAX, and nothing that is slow to import.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.sparse

from stages.core.errors import InputError
from stages.tasks.speech.audio import decode


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
        mels = self._rows @ (spectrum.real**2 + spectrum.imag**2).T
        # In float32, whose logarithm NumPy computes alike on every processor.
        logs = np.log(np.maximum(mels, 1e-10).astype(np.float32)) / np.float32(math.log(10))
        logs = np.maximum(logs, logs.max() - np.float32(8))
        return (logs + np.float32(4)) / np.float32(4)

    @cached_property
    def _rows(self) -> scipy.sparse.csr_array:
        """The filters [mels, n_fft / 2 + 1], which are nearly all zero.

        Their product adds in one order, unlike BLAS; rounding hides the last bits, in which the
        logarithms of the library that made them differ between processors.
        """
        return scipy.sparse.csr_array(self.filters.T.astype(np.float32))


def features_of(
    clips: list[tuple[bytes, str]], log_mel: LogMel
) -> list[tuple[np.ndarray, float] | InputError]:
    """Features and seconds of clips; a refusal is returned, for the caller to raise in order.

    Args:
        clips: the content of each, and its place for a message.
        log_mel: makes the features.
    """
    found = []
    for content, where in clips:
        try:
            clip = decode(content, log_mel.rate, where)
        except InputError as error:
            found.append(error)
        else:
            found.append((log_mel(clip), len(clip) / log_mel.rate))
    return found
