"""Toy clips, a tone for each word, and data sets of them."""

import io
import json
from pathlib import Path

import numpy as np
import soundfile

from stages.tasks.speech.convert import Source, convert

RATE = 16_000
WORDS = {"low": 300, "mid": 900, "high": 2700}


def tone(frequency: float, seconds: float = 0.2, rate: int = RATE) -> np.ndarray:
    """float64 [samples] of one frequency at half of full scale."""
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def spoken(text: str) -> np.ndarray:
    """A tone for each word."""
    return np.concatenate([tone(WORDS[word]) for word in text.lower().split()])


def encoded(samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype=None) -> bytes:
    """The bytes of an audio file."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def write_folder(folder: Path, texts: list[str]) -> Path:
    """A folder of audio in the form of `datasets`: wav files and metadata.jsonl."""
    folder.mkdir(parents=True)
    lines = []
    for number, text in enumerate(texts):
        (folder / f"{number}.wav").write_bytes(encoded(spoken(text)))
        lines.append(json.dumps({"file_name": f"{number}.wav", "text": text, "voice": "a"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def make_clips(folder: Path) -> Path:
    """A data set of audio with a configuration and one split, as the hub has them."""
    write_folder(folder / "wav", ["low mid", "high", "mid low high", "low"] * 3)
    hub = folder / "hub"
    hub.mkdir()
    convert(str(folder / "wav"), hub / "validation.parquet", Source(source=str(folder)))
    (hub / "README.md").write_text(
        "---\nconfigs:\n- config_name: clean\n  data_files:\n  - split: validation\n"
        "    path: validation.parquet\n---\n"
    )
    return hub
