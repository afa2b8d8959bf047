"""Log-mel features of many clips: computed by worker processes, kept in the cache."""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
from joblib import cpu_count

from stages.core.checksums import checksum
from stages.core.errors import InputError
from stages.core.progress import Progress
from stages.core.versions import installed_versions
from stages.data.cache import UNCACHED, RowCache
from stages.data.store import Store
from stages.data.views import LazySequence, Mapped
from stages.data.worker_processes import in_processes
from stages.data.writer import Writer, ragged_array
from stages.tasks.speech import audio, containers, mpeg, resample, spectrogram
from stages.tasks.speech.examples import Examples
from stages.tasks.speech.spectrogram import LogMel, features_of

# Starting a process takes as long as this many short clips.
_CLIPS_A_WORKER = 64
# What is sent to a worker at once: clips, or bytes of them where these are long.
_CLIPS_A_JOB, _BYTES_A_JOB = 8, 2**24
# Bytes of clips that workers have, or wait for them.
_BYTES_WAITING = 2**28
# Clips that are written at once.
_CHUNK = 16
# What features depend on. They are expensive: other code and libraries may change without them.
_CODE = (audio, containers, mpeg, resample, spectrogram, sys.modules[__name__])
_LIBRARIES = ("numpy", "scipy", "soundfile")


@dataclass(frozen=True)
class Features:
    """The features of a data set, mapped from the disk.

    arrays: one a row, float32 [mels, frames].
    seconds: float64 [rows], the length of each clip, which is more than `arrays` show of it where
        the clip is longer than the model hears.
    """

    arrays: LazySequence
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)


def compute_features(
    examples: Examples, log_mel: LogMel, cache: RowCache = UNCACHED, workers: int | None = None
) -> Features:
    """The features of all clips, out of the cache or computed and put there.

    They are found by the content of the clips in their order, by all that `log_mel` holds, by the
    code that makes them and by the versions of what it calls.

    Args:
        examples: the clips.
        log_mel: how features are made.
        cache: keeps them.
        workers: processes, at most as many as there are cores (None: as many).

    Raises:
        InputError: what `decode` refuses, for the first such row; what `RowCache.get` does.
    """
    *numbers, filters = astuple(log_mel)
    inputs = {
        # Of each clip its own, so that one byte cannot move from a clip to the next.
        "clips": checksum(hashlib.sha256(content).digest() for content in examples.contents()),
        "log_mel": [*numbers, checksum([filters])],
        "versions": installed_versions(_LIBRARIES),
    }

    def build(writer: Writer) -> None:
        _write(writer, examples, log_mel, workers)

    return _features(cache.get("speech-features", inputs, build, _CODE), log_mel)


def _features(store: Store, log_mel: LogMel) -> Features:
    shape = (log_mel.filters.shape[1], log_mel.frames)
    arrays = Mapped(store.column("features"), lambda row: row.reshape(shape), f"{shape}")
    return Features(arrays, store.numbers("seconds"))


def _write(writer: Writer, examples: Examples, log_mel: LogMel, workers: int | None) -> None:
    arrays, seconds = [], []

    def flush() -> None:
        writer.write({"features": ragged_array(arrays, np.float32), "seconds": np.array(seconds)})
        arrays.clear()
        seconds.clear()

    with Progress("features", "clip", len(examples)) as progress:
        for found in _computed(examples, log_mel, workers):
            if isinstance(found, InputError):
                raise found
            arrays.append(found[0].reshape(-1))
            seconds.append(found[1])
            if len(arrays) == _CHUNK:
                flush()
            progress.advance()
    if arrays:
        flush()


def _computed(examples: Examples, log_mel: LogMel, workers: int | None) -> Iterator:
    """What `features_of` gives for each clip, in order."""
    clips = ((content, examples.where(row)) for row, content in enumerate(examples.contents()))
    count = min(workers or cpu_count(), cpu_count(), 1 + len(examples) // _CLIPS_A_WORKER)
    if count == 1:
        for clip in clips:
            yield from features_of([clip], log_mel)
        return
    compute = partial(features_of, log_mel=log_mel)
    # Clips and results take memory.
    for found in in_processes(
        compute, _jobs(clips), count,
        threads=max(cpu_count() // count, 1), size=_content_size, most=_BYTES_WAITING,
    ):  # fmt: skip
        yield from found


def _content_size(job: list[tuple[bytes, str]]) -> int:
    return sum(len(content) for content, _ in job)


def _jobs(clips: Iterable[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    job, held = [], 0
    for clip in clips:
        job.append(clip)
        held += len(clip[0])
        if len(job) == _CLIPS_A_JOB or held > _BYTES_A_JOB:
            yield job
            job, held = [], 0
    if job:
        yield job
