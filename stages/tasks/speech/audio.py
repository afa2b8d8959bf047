"""Audio out of the bytes of a file: decoded, checked, at one rate; and into a file."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import soundfile

from stages.core.errors import InputError
from stages.tasks.speech import containers
from stages.tasks.speech.resample import resampled

# A clip whose loudest sample stays below this (full scale is 1) holds no speech: -80 dB, a little
# over the last bit of 16.
SILENCE = 1e-4

# What a clip may be. A small file can claim or hold more than a machine has memory for.
RATES = range(1_000, 384_000 + 1)  # samples a second
CHANNELS = 64
SECONDS = 3_600

_BLOCK = 2**18  # values that are decoded at a time


class _Bytes(io.BytesIO):
    """Bytes that libsndfile asks for by places that a damaged header gives it."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file, but a place before the first byte is ignored, as of a failed `lseek`."""
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


class _Stream(soundfile.SoundFile):
    """A file that is read to its end: soundfile itself limits what can be sought to its header."""

    def seekable(self) -> bool:
        return False


def decode(content: bytes, rate: int, where: str) -> np.ndarray:
    """Samples of one channel at `rate`.

    Reads what libsndfile reads: wav, flac, ogg (Vorbis, Opus), mp3 and more, up to the real end,
    whatever size a program wrote into the header that could not know it; files that were joined
    are read one after the other. Channels are averaged, and another rate is resampled through a
    polyphase filter, both block by block: only the result is in memory as a whole.

    Args:
        content: the whole file.
        rate: samples a second that are wanted.
        where: the place of the clip, for a message.

    Returns:
        float32 [samples], full scale 1.

    Raises:
        InputError: an empty file, an unknown codec, a file that is cut off, no samples, samples
            that are no numbers, silence; a rate, channels or a length beyond what a clip may be.
            Of an mp3 without a header of its length, and of a file cut between two pages or
            frames by a program that closed it, a cut cannot be detected.
    """
    if not content:
        raise InputError(f"{where}: the file is empty; give another, or leave the row out")
    kind = containers.kind(content)
    clip = _Clip(rate, where)
    try:
        for part in containers.split(content):
            if not clip.add(part):
                raise InputError(
                    f"{where}: the {kind} file is cut off or damaged (only {clip.seconds:.2f} s "
                    "can be read); give the whole file"
                )
    except soundfile.SoundFileError as error:
        reason = str(error).split(">: ")[-1].removeprefix("Error : ").rstrip(".")
        cut = f"the {kind} file is cut off or damaged" if kind else "no audio"
        raise InputError(
            f"{where}: {cut} ({reason}); give a whole wav, flac, ogg or mp3 file"
        ) from None
    return clip.samples()


class _Clip:
    """What was decoded of a file so far."""

    def __init__(self, rate: int, where: str):
        # Recordings that were joined may have different rates, and a sum of floats is not exact.
        self._length = Fraction()
        self._rate, self._where = rate, where
        self._blocks: list[np.ndarray] = []
        self._count, self._sum, self._least, self._most = 0, 0.0, np.inf, -np.inf

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self._length)

    def add(self, part: containers.Part) -> bool:
        """Decode a recording; False if it has less than it says.

        Raises:
            InputError: what it says or holds is beyond what a clip may be.
            soundfile.SoundFileError: it cannot be decoded.
        """
        with _Stream(_Bytes(part.content)) as file:
            found, channels = file.samplerate, file.channels
            counted = file.frames if part.counted else 0
        if found not in RATES:
            raise InputError(
                f"{self._where}: {found} samples a second; a clip has {RATES[0]} to {RATES[-1]}, "
                "write the file again"
            )
        if channels > CHANNELS:
            raise InputError(
                f"{self._where}: {channels} channels; a clip has at most {CHANNELS}, write the "
                "file again"
            )
        self._check_length(self._length + Fraction(counted, found))
        before = self._count
        for block in resampled(self._measured(_mono(part), found), found, self._rate):
            self._blocks.append(block.astype(np.float32))
        return not part.cut and self._count - before >= counted

    def samples(self) -> np.ndarray:
        """float32 [samples] of all that was added.

        Raises:
            InputError: there is none, or nothing is to be heard.
        """
        if not self._count:
            raise InputError(
                f"{self._where}: no sample in the file; give another, or leave the row out"
            )
        mean = self._sum / self._count
        if max(self._most - mean, mean - self._least) < SILENCE:
            raise InputError(
                f"{self._where}: {self.seconds:.2f} s of silence; give another file, or leave the "
                "row out"
            )
        return np.concatenate(self._blocks)

    def _measured(self, blocks: Iterable[np.ndarray], found: int) -> Iterator[np.ndarray]:
        for block in blocks:
            if not np.isfinite(block).all():
                raise InputError(
                    f"{self._where}: samples that are not finite; write the file again"
                )
            self._count += len(block)
            self._sum += block.sum()
            self._least, self._most = min(self._least, block.min()), max(self._most, block.max())
            self._length += Fraction(len(block), found)
            self._check_length(self._length)
            yield block

    def _check_length(self, seconds: Fraction) -> None:
        if seconds > SECONDS:
            raise InputError(
                f"{self._where}: {float(seconds):.0f} s or more; a clip has at most {SECONDS} s, "
                "cut it, or leave the row out"
            )


def _mono(part: containers.Part) -> Iterator[np.ndarray]:
    """Blocks of the mean of all channels, float64 [samples], at the rate of the file."""
    read = 0
    try:
        with _Stream(_Bytes(part.endless or part.content)) as file:
            for block in _blocks(file):
                read += len(block)
                yield block
    except soundfile.SoundFileError:
        if part.endless is None:
            raise
        # Something else comes after the samples that the header counts.
        with soundfile.SoundFile(_Bytes(part.content)) as file:
            file.seek(read)
            yield from _blocks(file)


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(_BLOCK // file.channels, dtype="float32", always_2d=True)):
        yield block.mean(axis=1, dtype=np.float64)


def encode(content: bytes, rate: int, where: str) -> bytes:
    """The clip as FLAC of 16 bits, one channel at `rate`; one that is so already stays as it is.

    Raises:
        InputError: as in `decode`.
    """
    samples = decode(content, rate, where)
    if containers.kind(content) == "flac":
        with soundfile.SoundFile(_Bytes(content)) as file:
            form = (file.format, file.subtype, file.channels, file.samplerate, file.frames)
        if form == ("FLAC", "PCM_16", 1, rate, len(samples)):
            return content
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, 1, "PCM_16", format="FLAC") as file:
        for start in range(0, len(samples), _BLOCK):
            scaled = np.rint(samples[start : start + _BLOCK].astype(np.float64) * 2**15)
            file.write(np.clip(scaled, -(2**15), 2**15 - 1).astype(np.int16))
    return out.getvalue()
