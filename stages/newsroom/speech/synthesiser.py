"""A pool of synthesiser processes, whose results keep the order of the utterances."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from joblib import cpu_count

from stages.core.errors import InputError
from stages.newsroom.speech.espeak import HEADER
from stages.newsroom.speech.voices import Utterance

# More would wait for this process, which resamples and encodes.
MAX_WORKERS = 8
REMEDY = (
    "install the espeakng-loader of requirements.lock, or switch the task off: "
    "`tasks.speech.enabled: false` in params.yaml"
)
Result = TypeVar("Result")


class Synthesiser:
    """One process of espeak-ng.

    Raises:
        InputError: the library is not available.
    """

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.newsroom.speech.espeak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.sample_rate = int(self._answer())
        except InputError:
            self.close()
            raise

    def speak(self, utterance: Utterance) -> bytes:
        """The samples, int16 and mono, at `sample_rate`.

        Raises:
            InputError: the library lacks the voice, or crashes.
        """
        request = utterance._asdict()
        wanted = {name: request[name] for name in ("text", "voice", "rate", "pitch", "seed")}
        self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _answer(self) -> bytes:
        header = self.process.stdout.read(HEADER.size)
        if len(header) < HEADER.size:
            raise _failure(f"its process ended with status {self.process.wait()}")
        status, size = HEADER.unpack(header)
        content = self.process.stdout.read(size)
        if status:
            raise _failure(content.decode())
        return content


class Pool:
    """Several synthesisers in parallel.

    Args:
        workers: their number; by default the number of cores, up to `MAX_WORKERS`.
    """

    def __init__(self, workers: int | None = None):
        self.synthesisers = []
        self.free = SimpleQueue()
        try:
            for _ in range(workers or min(cpu_count(), MAX_WORKERS)):
                self.synthesisers.append(Synthesiser())
                self.free.put(self.synthesisers[-1])
        except InputError:
            self.close()
            raise
        self.threads = ThreadPoolExecutor(len(self.synthesisers))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error):
        self.threads.shutdown(cancel_futures=True)
        self.close()

    def close(self) -> None:
        """End all processes."""
        for synthesiser in self.synthesisers:
            synthesiser.close()

    def map(
        self, make: Callable[[Utterance, bytes, int], Result], utterances: Sequence[Utterance]
    ) -> Iterator[Result]:
        """`make(utterance, samples, sample_rate)` for each utterance, in order."""

        def work(utterance: Utterance) -> Result:
            synthesiser = self.free.get()
            try:
                samples = synthesiser.speak(utterance)
            finally:
                self.free.put(synthesiser)
            return make(utterance, samples, synthesiser.sample_rate)

        return self.threads.map(work, utterances)


def _failure(reason: str) -> InputError:
    return InputError(f"the newsroom's speech needs espeak-ng ({reason}): {REMEDY}")
