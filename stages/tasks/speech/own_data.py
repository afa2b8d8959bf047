"""Clips and transcripts in a user's files, see `stages.tasks.own_data`."""

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from stages.core.errors import InputError, quoted, shortened
from stages.data.columns import listed_columns
from stages.data.tables import TABLES, Table, read_table
from stages.tasks.own_data import BEATS, Items, Plan, Sizes, length_line, vocabulary_size
from stages.tasks.own_training import best_by, new_tokenizer, schedule
from stages.tasks.speech.convert import RATE, Source
from stages.tasks.speech.examples import read_examples

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
ENDINGS, SEVERAL = (*TABLES, *AUDIO_ENDINGS), True
MODEL = "whisper"
# What stands between the parts of a file's name, as in `7_jackson_32.wav`.
SEPARATOR = "_"
# Places of an encoder for a second of sound.
_FRAMES = 50


def read(paths: list[Path], source: Source, name_part: int | None = None) -> Items:
    """The clips of a manifest, or the audio files themselves with their transcripts.

    Args:
        paths: a manifest, perhaps among audio files; or audio files, each with its transcript in
            a `.txt` beside it or in its name.
        source: keys of `data`.
        name_part: which part of the name, from 1, is the transcript.

    Raises:
        InputError: several manifests; clips without a transcript.
    """
    manifests = [path for path in paths if path.suffix.lower() in TABLES]
    clips = [path for path in paths if path not in manifests]
    if len(manifests) > 1:
        names = ", ".join(path.name for path in manifests)
        raise InputError(f"{manifests[0].parent}: several manifests ({names}); give one as DATA")
    if manifests:
        found, said = _of_manifest(manifests[0], source)
    else:
        found, said = _of_names(clips, name_part)
    width = len(str(len(found)))
    targets = [f"audio/{number:0{width}d}-{clip.name}" for number, (clip, _) in enumerate(found, 1)]
    return Items(
        rows=[
            {"audio": target, "text": text}
            for target, (_, text) in zip(targets, found, strict=True)
        ],
        # Words may be spoken in several splits, a recording may not.
        shared=[(str(clip.resolve()),) for clip, _ in found],
        said=said,
        files={target: clip for target, (clip, _) in zip(targets, found, strict=True)},
    )


def _of_manifest(path: Path, source: Source) -> tuple[list[tuple[Path, str]], list[str]]:
    table = _lj_speech(path) or read_table(path)
    examples = read_examples(
        path,
        table=table,
        audio_column=source.audio_column_name,
        text_column=source.text_column_name,
    )
    said = [f"columns: {listed_columns(examples.columns)}"]
    files = [examples.file(row) for row in range(len(examples))]
    return list(zip(files, examples.texts, strict=True)), said


def _lj_speech(path: Path) -> Table | None:
    """The rows of a manifest in LJ Speech's form, ID|text|normalised text, without a header."""
    if path.suffix.lower() != ".csv":
        return None
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].split("|")
    folder = path.parent / "wavs"
    if len(first) < 2 or not (folder / f"{first[0]}.wav").is_file():
        return None
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, *texts = line.split("|")
        if not texts:
            raise InputError(f"{path}, line {number}: no transcript behind a |; expected ID|text")
        rows.append({"audio": f"wavs/{name}.wav", "text": texts[-1]})
    return Table(str(path), ["audio", "text"], rows, range(1, len(rows) + 1), ["audio", "text"])


def _of_names(clips: list[Path], name_part: int | None) -> tuple[list[tuple[Path, str]], list[str]]:
    beside = [clip.with_suffix(".txt") for clip in clips]
    if name_part is None and all(map(Path.is_file, beside)):
        texts = [path.read_text(encoding="utf-8").strip() for path in beside]
        return list(zip(clips, texts, strict=True)), ["transcripts: the .txt beside each clip"]
    parts = [clip.stem.split(SEPARATOR) for clip in clips]
    least = min(map(len, parts))
    if name_part is None or name_part > least:
        example = shortened(clips[0].name)
        raise InputError(
            f"{clips[0].parent}: {len(clips)} clips without a manifest or a .txt beside each; give "
            f"--name_part 1 to {least} if a part of the name, as in {quoted(example)}, is the "
            "transcript, or a CSV with `file_name` and `text`"
        )
    said = [f"transcripts: part {name_part} of each name, as in {clips[0].name}"]
    return [(clip, part[name_part - 1]) for clip, part in zip(clips, parts, strict=True)], said


def describe(path: Path) -> Sizes:
    """Durations and transcripts of the clips of a split."""
    examples = read_examples(path)
    seconds = np.array(
        [soundfile.info(io.BytesIO(content)).duration for content in examples.contents()]
    )
    words = np.array([len(text.split()) for text in examples.texts])
    said = [
        f"seconds of a clip: {seconds.min():.1f} to {seconds.max():.1f}, together "
        f"{seconds.sum() / 60:.1f} minutes",
        length_line("words of a transcript", words),
        f"different transcripts: {len({*examples.texts})}",
    ]
    return Sizes(
        rows=len(examples),
        lengths=np.ceil(seconds).astype(np.int64),
        said=said,
        # A token a word or, at worst, a letter or two.
        targets=np.array([len(text) // 2 + 3 for text in examples.texts]),
        vocabulary=vocabulary_size(examples.texts),
    )


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of a Whisper."""
    train = sizes["train"]
    longest = int(min(30, max(1, max(one.lengths.max() for one in sizes.values()))))
    task = {
        "enabled": True,
        "max_duration_in_seconds": float(longest),
        "predict_with_generate": True,
        "weight_decay": 0.01,
    }
    gates = {"eval_wer": dict(BEATS)}
    if start is not None:
        task |= {
            "learning_rate": 1e-5,
            **schedule(train.rows, batch=8, epochs=3, length=30 * _FRAMES, start=start),
        }
        return Plan({**task, **best_by("wer")}, gates)
    written = int(min(128, math.ceil(max(one.targets.max() for one in sizes.values()) / 8) * 8))
    hop, rate = 320, RATE
    config = {
        "model_type": "whisper",
        "d_model": 128,
        "encoder_layers": 3,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 256,
        "decoder_ffn_dim": 256,
        # The second convolution takes every other frame.
        "max_source_positions": longest * rate // hop // 2,
        "max_target_positions": written,
        "init_std": 0.08,
        "attention_init": "monotonic",
    }
    task |= {
        "max_label_length": written,
        "muon": True,
        "learning_rate": 4e-3,
        "adam_beta2": 0.98,
        **schedule(train.rows, batch=16, epochs=15, length=longest * _FRAMES),
        **best_by("wer"),
    }
    tokenizer = new_tokenizer(train, config, whole_words=False, preprocessor={"hop_length": hop})
    return Plan(task, gates, tokenizer)
