"""The standard form of speech recognition: parquet with audio, as FLAC at one rate, and text.

What is slow to import is imported where it is used: `check` needs `Source` alone.
"""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.parquet
import soundfile
from pydantic import Field

from stages.core.errors import InputError
from stages.data.source import SPLITS, Converted, DataSource
from stages.tasks.speech.examples import Examples, read_examples
from stages.tasks.speech.extras import extra_types
from stages.tasks.speech.manifest import MANIFESTS, find_manifest, read_rows

# What every model of this kind hears, and so no more need be kept.
RATE = 16_000

# What is in memory at a time.
_ROWS_A_GROUP = 256
_BYTES_A_GROUP = 2**28


class Source(DataSource):
    """Keys of `tasks.speech.data`; a split may also be a folder of audio with its metadata."""

    audio_column_name: str | None = Field(None, description="column of the audio, or of its path")
    text_column_name: str | None = Field(None, description="column of the transcript")
    max_duration_in_seconds: float | None = Field(
        None,
        gt=0,
        description="refuse longer audio here (default: training leaves out what it cannot use)",
    )

    def file(self, split: str) -> Path:
        """The file of a split within `source`, or its folder."""
        key = SPLITS[split]
        name = getattr(self, key) or split
        folder = Path(self.source, name)
        for manifest in MANIFESTS:
            if (folder / manifest).is_file():
                self._inside(key, Path(name, manifest))
                return folder
        return super().file(split)


def convert(path: str, target: Path, source: Source) -> Converted:
    """Check `path` and write it in the standard form.

    Other columns than those of audio and transcript are kept.

    Raises:
        InputError: what `read_examples` and `decode` refuse; a clip outside `data.source`, where
            the pipeline would not see it change; one that is too long; a column that parquet
            cannot hold.
    """
    import datasets

    manifest = find_manifest(path)
    table = read_rows(manifest)
    examples = read_examples(
        manifest,
        table=table,
        audio_column=source.audio_column_name,
        text_column=source.text_column_name,
        within=manifest.parent if source.dataset_name else Path(source.source),
    )
    taken = (examples.audio_column, examples.text_column, "audio", "text")
    others = extra_types(table, taken)
    audio = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    schema = pyarrow.schema([("audio", audio), ("text", pyarrow.string()), *others.items()])
    features = datasets.Features.from_arrow_schema(schema)
    features["audio"] = datasets.Audio(sampling_rate=RATE)
    rows = zip(examples.texts, table.rows, strict=True)
    with pyarrow.parquet.ParquetWriter(target, features.arrow_schema) as writer:
        for clips in _groups(examples, source.max_duration_in_seconds):
            texts, found = zip(*islice(rows, len(clips)), strict=True)
            columns = [clips, texts, *([row.get(name) for row in found] for name in others)]
            arrays = [
                pyarrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=features.arrow_schema))
    return Converted(len(examples), examples)


def write_nothing(target: Path) -> None:
    """Write the columns without a row: what is left of a split where the task is switched off."""
    import datasets

    features = {"audio": datasets.Audio(sampling_rate=RATE), "text": datasets.Value("string")}
    empty = datasets.Features(features).arrow_schema.empty_table()
    pyarrow.parquet.write_table(empty, target)


def _groups(examples: Examples, longest: float | None) -> Iterator[list[dict]]:
    """The column of audio, group by group."""
    from stages.tasks.speech.audio import encode

    clips: list[dict] = []
    held = 0
    for row, content in enumerate(examples.contents()):
        where = examples.where(row)
        flac = encode(content, RATE, where)
        seconds = soundfile.info(io.BytesIO(flac)).frames / RATE
        if longest is not None and seconds > longest:
            raise InputError(
                f"{where}: {seconds:.2f} s, more than data.max_duration_in_seconds {longest:g}; "
                "cut it, or leave the row out"
            )
        name = Path(examples.names[row]).with_suffix(".flac")
        # Where a file lay on one machine is not to differ on another.
        name = name.name if name.is_absolute() else name.as_posix()
        clips.append({"bytes": flac, "path": name})
        held += len(flac)
        if len(clips) == _ROWS_A_GROUP or held > _BYTES_A_GROUP or row + 1 == len(examples):
            yield clips
            clips, held = [], 0
