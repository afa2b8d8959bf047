"""The synthesiser's process: `python -m stages.newsroom.speech.espeak`.

It reads requests from stdin, a JSON object a line with text, voice, rate, pitch and seed, and
answers each on stdout with a frame: status and number of bytes (`HEADER`), then the bytes. They
are samples (int16, mono) if the status is 0, otherwise a reason in UTF-8. The first frame is sent
at the start and holds the sample rate in hertz, or why the library is not available.

The library keeps state from its last utterance, in its filters and its random numbers, that neither
cancelling nor initialising again resets. So it is initialised once and each request is spoken by a
fork, which starts from the same memory. Only the standard library is imported, so that a fork is
cheap and there are no other threads.

espeak-ng is under the GPL, version 3; only this process loads it.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from pathlib import Path

HEADER = struct.Struct("<iI")

# From speak_lib.h.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 1 << 15
_CHARACTERS_UTF8 = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
# In per cent; at the default of 100 the loudest speakers are clipped.
_QUIET = 60
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
_STEPS = {1: "voice", 2: "parameters", 3: "synthesis"}


class Library:
    """The initialised espeak-ng library.

    Raises:
        ImportError: the package `espeakng-loader` is not installed.
        OSError: its library or its data cannot be loaded.
    """

    def __init__(self):
        import espeakng_loader

        self.data = Path(espeakng_loader.get_data_path())
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.c = ctypes.CDLL(None)
        path = os.fsencode(self.data)
        self.sample_rate = self.library.espeak_Initialize(_SYNCHRONOUS, 0, path, _DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng does not take the data in {self.data}")

    def speak(self, text: str, voice: str, rate: int, pitch: int, seed: int) -> tuple[int, bytes]:
        """Status and answer to one request, from a fork of this process."""
        variant = voice.partition("+")[2]
        if not (self.data / "voices" / "!v" / variant).is_file():
            # The library would silently use another speaker.
            return 1, f"voice {voice!r}: no speaker {variant!r} in this espeak-ng".encode()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            step = 3
            try:
                os.close(reading)
                step, samples = self._speak(text.encode(), voice.encode(), rate, pitch, seed)
                with os.fdopen(writing, "wb") as pipe:
                    pipe.write(samples)
            finally:
                # Without clean-up or a traceback, which are the parent's.
                os._exit(step)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            samples = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            what = f"signal {-status}" if status < 0 else f"{_STEPS[status]} refused"
            return status, f"voice {voice!r}: {what}, reading {text!r}".encode()
        return 0, samples

    def _speak(
        self, text: bytes, voice: bytes, rate: int, pitch: int, seed: int
    ) -> tuple[int, bytes]:
        """0 and the samples, or the step that failed."""
        samples = []

        @_CALLBACK
        def collect(values, count, events):
            if count > 0:
                samples.append(ctypes.string_at(values, 2 * count))
            return 0

        call = self.library
        # Some speakers' noise comes from the C library's generator, others' from espeak-ng's own,
        # which it seeds from the clock at its start.
        self.c.srand(seed)
        call.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        call.espeak_SetSynthCallback(collect)
        if call.espeak_SetVoiceByName(voice):
            return 1, b""
        for parameter, value in ((_RATE, rate), (_VOLUME, _QUIET), (_PITCH, pitch)):
            if call.espeak_SetParameter(parameter, value, 0):
                return 2, b""
        size = ctypes.c_size_t(len(text) + 1)
        if call.espeak_Synth(text, size, 0, 0, 0, _CHARACTERS_UTF8, None, None):
            return 3, b""
        return 0, b"".join(samples)


def main() -> None:
    """Answer requests until stdin ends."""
    # Control-C reaches the whole group; this process ends when stdin ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = sys.stdout.buffer

    def answer(status: int, content: bytes):
        answers.write(HEADER.pack(status, len(content)) + content)
        answers.flush()

    try:
        library = Library()
    except (ImportError, OSError, RuntimeError) as error:
        answer(1, " ".join(str(error).split()).encode())
        return
    answer(0, str(library.sample_rate).encode())
    for line in sys.stdin:
        answer(*library.speak(**json.loads(line)))


if __name__ == "__main__":
    main()
