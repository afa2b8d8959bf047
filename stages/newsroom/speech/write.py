"""The files of the data set: a Parquet file for each split, and a few WAV files as samples."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

from stages.core.progress import Progress
from stages.newsroom.speech.audio import SAMPLE_RATE, encode, finish
from stages.newsroom.speech.synthesiser import Pool
from stages.newsroom.speech.voices import Utterance, draw_utterance

# Utterances of a row group, about 10 MB: what is in memory at once.
GROUP = 256
SAMPLES = 3
_NUMBER = {"dtype": "int32", "_type": "Value"}
_TEXT = {"dtype": "string", "_type": "Value"}
# The `datasets` library recognises audio by these features.
_FEATURES = {
    "audio": {"sampling_rate": SAMPLE_RATE, "_type": "Audio"},
    "text": _TEXT,
    "voice": _TEXT,
    "rate": _NUMBER,
    "pitch": _NUMBER,
    "template": _TEXT,
}
SCHEMA = pyarrow.schema(
    [
        (
            "audio",
            pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
        ),
        ("text", pyarrow.string()),
        ("voice", pyarrow.string()),
        ("rate", pyarrow.int32()),
        ("pitch", pyarrow.int32()),
        ("template", pyarrow.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


@dataclass
class Counts:
    """The content of a split; `seconds` and `longest` (utterance) are in seconds."""

    seconds: float = 0.0
    longest: float = 0.0
    words: int = 0
    templates: Counter = field(default_factory=Counter)

    def add(self, utterance: Utterance, wave: np.ndarray) -> None:
        """Add one utterance, whose audio `wave` is int16 [samples]."""
        seconds = len(wave) / SAMPLE_RATE
        self.seconds += seconds
        self.longest = max(self.longest, seconds)
        self.words += len(utterance.text.split())
        self.templates[utterance.template] += 1


def write_split(
    folder: Path, seed: int, split: str, count: int, pool: Pool, progress: Progress
) -> Counts:
    """Write `folder/SPLIT.parquet` with `count` utterances, and the first few as WAV files."""
    counts = Counts()
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    # Compressing FLAC again would not make it smaller.
    with parquet.ParquetWriter(
        folder / f"{split}.parquet", SCHEMA, compression="none", write_statistics=False
    ) as writer:
        rows = []
        for index, (utterance, wave, audio) in enumerate(_synthesise(seed, split, count, pool)):
            name = f"{split}-{index:05d}"
            rows.append(
                {
                    "audio": {"bytes": audio, "path": f"{name}.flac"},
                    "text": utterance.text,
                    "voice": utterance.voice,
                    "rate": utterance.rate,
                    "pitch": utterance.pitch,
                    "template": utterance.template,
                }
            )
            if index < SAMPLES:
                (samples / f"{name}.wav").write_bytes(encode(wave, "WAV"))
            counts.add(utterance, wave)
            progress.advance()
            if len(rows) == GROUP or index == count - 1:
                writer.write_table(pyarrow.Table.from_pylist(rows, SCHEMA))
                rows = []
    return counts


def _synthesise(
    seed: int, split: str, count: int, pool: Pool
) -> Iterator[tuple[Utterance, np.ndarray, bytes]]:
    """Yield utterance, samples and FLAC bytes in order, computed a group at a time."""
    for start in range(0, count, GROUP):
        indices = range(start, min(start + GROUP, count))
        yield from pool.map(_make, [draw_utterance(seed, split, index) for index in indices])


def _make(
    utterance: Utterance, samples: bytes, sample_rate: int
) -> tuple[Utterance, np.ndarray, bytes]:
    wave = finish(samples, sample_rate, utterance.level)
    return utterance, wave, encode(wave)
