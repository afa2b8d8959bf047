"""Log-mel features of many clips: computed by worker processes, cached on disk."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor

from stages.core.errors import InputError
from stages.core.files import atomic_folder
from stages.core.progress import Progress
from stages.tasks.speech import audio, containers, mpeg, resample
from stages.tasks.speech.audio import LogMel, features_of
from stages.tasks.speech.examples import Examples

# Starting a process takes as long as this many short clips.
_CLIPS_A_WORKER = 64


@dataclass(frozen=True)
class Features:
    """The features of a data set, mapped from the disk.

    arrays: float32 [rows, mels, frames].
    seconds: float64 [rows], the length of each clip, which is more than `arrays` show of it where
        the clip is longer than the model hears.
    """

    arrays: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)


def compute_features(
    examples: Examples, log_mel: LogMel, folder: Path, workers: int | None = None
) -> Features:
    """The features of all clips, out of `folder` or computed and put there.

    What is kept is found by the content of the clips in their order, by all that `log_mel` holds,
    by the code here and by the versions of what it calls. Each clip's sum is compared; a damaged
    file is computed again.

    Args:
        examples: the clips.
        log_mel: how features are made.
        folder: where features are kept; made if need be.
        workers: processes, at most as many as there are cores (None: as many).

    Raises:
        InputError: what `decode` refuses, for the first such row; a folder that cannot be written.
    """
    target = folder / _key(examples.contents(), log_mel)
    found = _load(target, (len(examples), log_mel.filters.shape[1], log_mel.frames))
    if found is not None:
        return found
    try:
        with atomic_folder(target, shared=True) as partial:
            _write(partial, examples, log_mel, workers)
    except OSError as error:
        raise InputError(
            f"{folder}: features cannot be kept there ({(error.strerror or str(error)).lower()}); "
            "name another folder with --cache_dir"
        ) from None
    return _load(target, (len(examples), log_mel.filters.shape[1], log_mel.frames))


def _key(contents: Iterable[bytes], log_mel: LogMel) -> str:
    digest = hashlib.sha256()
    for module in (audio, containers, mpeg, resample):
        digest.update(Path(module.__file__).read_bytes())
    digest.update(Path(__file__).read_bytes())
    for library in ("numpy", "scipy", "soundfile"):
        digest.update(f"{library} {version(library)} ".encode())
    *numbers, filters = astuple(log_mel)
    digest.update(json.dumps(numbers).encode() + filters.tobytes())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:24]


def _load(folder: Path, shape: tuple[int, int, int]) -> Features | None:
    """What was kept, if it is all there and whole."""
    try:
        arrays = np.load(folder / "features.npy", mmap_mode="r")
        rows = json.loads((folder / "rows.json").read_text())
        seconds, sums = np.array(rows["seconds"], np.float64), rows["sums"]
    except (OSError, ValueError, EOFError, KeyError):
        return None
    if arrays.shape != shape or arrays.dtype != np.float32:
        return None
    if len(seconds) != shape[0] or sums != [zlib.crc32(array) for array in arrays]:
        return None
    return Features(arrays, seconds)


def _write(folder: Path, examples: Examples, log_mel: LogMel, workers: int | None) -> None:
    rows, mels = len(examples), log_mel.filters.shape[1]
    arrays = np.lib.format.open_memmap(
        folder / "features.npy", "w+", np.float32, (rows, mels, log_mel.frames)
    )
    seconds, sums = [], []
    with Progress("features", "clip", rows) as progress:
        for row, found in enumerate(_computed(examples, log_mel, workers)):
            if isinstance(found, InputError):
                raise found
            arrays[row], length = found
            seconds.append(length)
            sums.append(zlib.crc32(arrays[row]))
            progress.advance()
    arrays.flush()
    (folder / "rows.json").write_text(json.dumps({"seconds": seconds, "sums": sums}))


def _computed(examples: Examples, log_mel: LogMel, workers: int | None) -> Iterator:
    """What `features_of` gives for each clip, in order."""
    jobs = (
        delayed(features_of)(content, log_mel, examples.where(row))
        for row, content in enumerate(examples.contents())
    )
    count = min(workers or cpu_count(), cpu_count(), 1 + len(examples) // _CLIPS_A_WORKER)
    # New interpreters, not forks of this one: JAX's threads do not outlive a fork.
    try:
        yield from Parallel(count, backend="loky", return_as="generator", batch_size=8)(jobs)
    finally:
        if count > 1:
            get_reusable_executor().shutdown(wait=True)
