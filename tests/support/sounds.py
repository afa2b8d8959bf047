"""Small clips that the tests of speech share."""

import io
import json
from pathlib import Path

import numpy as np
import soundfile

from stages.core.files import write_json, write_text
from stages.vocabularies import spoken_words

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


def make_start(folder: Path) -> Path:
    """The folder of a new model of width 16 that hears a second and knows three words."""
    sizes = {"d_model": 16, "num_mel_bins": 16, "init_std": 0.1}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 1, f"{part}_attention_heads": 2, f"{part}_ffn_dim": 32}
    positions = {"max_source_positions": 25, "max_target_positions": 12}
    entry = spoken_words.Entry(
        vocab_size=300,
        config={"model_type": "whisper", **sizes, **positions},
        preprocessor={"chunk_length": 1, "hop_length": 320},
    )
    tokenizer, files = spoken_words.make([" ".join(WORDS)] * 3, entry)
    write_text(folder / "tokenizer.json", tokenizer.to_str())
    for name, content in files.items():
        write_json(folder / name, content)
    return folder
