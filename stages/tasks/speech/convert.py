"""The standard form of speech recognition: parquet with audio, as FLAC at one rate, and text.

What is slow to import is imported where it is used: `check` needs `Source` alone.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import soundfile
from pydantic import Field

from stages.core.errors import InputError, quoted
from stages.data.source import SPLITS, DataSource
from stages.tasks.speech.examples import MANIFESTS, Examples, read_examples

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


def convert(path: str, target: Path, source: Source) -> int:
    """Check `path` and write it in the standard form; the number of clips.

    Other columns than those of audio and transcript are kept.

    Raises:
        InputError: what `read_examples` and `decode` refuse; a clip outside `data.source`, where
            the pipeline would not see it change; one that is too long; a column that parquet
            cannot hold.
    """
    import datasets

    examples = read_examples(
        path,
        audio_column=source.audio_column_name,
        text_column=source.text_column_name,
        within=Path(path).parent if source.dataset_name else Path(source.source),
    )
    others = _other_columns(examples)
    schema = pyarrow.schema(
        [("audio", pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}))]
        + [("text", pyarrow.string())]
        + [(name, column.type) for name, column in others.items()]
    )
    features = datasets.Features.from_arrow_schema(schema)
    features["audio"] = datasets.Audio(sampling_rate=RATE)
    with pyarrow.parquet.ParquetWriter(target, features.arrow_schema) as writer:
        for start, clips in _groups(examples, source.max_duration_in_seconds):
            part = slice(start, start + len(clips))
            columns = [clips, examples.texts[part], *(values[part] for values in others.values())]
            arrays = [
                pyarrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=features.arrow_schema))
    return len(examples)


def write_nothing(target: Path) -> None:
    """Write the columns without a row: what is left of a split where the task is switched off."""
    import datasets

    features = {"audio": datasets.Audio(sampling_rate=RATE), "text": datasets.Value("string")}
    empty = datasets.Features(features).arrow_schema.empty_table()
    pyarrow.parquet.write_table(empty, target)


def _other_columns(examples: Examples) -> dict[str, pyarrow.Array]:
    taken = (examples.audio_column, examples.text_column, "audio", "text")
    columns = {}
    for name in examples.table.columns:
        if name in taken:
            continue
        try:
            columns[name] = _column([row.get(name) for row in examples.table.rows])
            _check_kind(name, columns[name].type)
        # Half a character, an integer of more than 64 bits, a type that a file cannot hold.
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
            raise InputError(
                f"{examples.table.path}: the values of {quoted(name)} are of several types, or of "
                "one that parquet does not hold; give it one, or leave the column out"
            ) from None
    return columns


def _column(values: list) -> pyarrow.Array:
    try:
        return pyarrow.array(values)
    except OverflowError:  # of integers it only tries the signed ones
        return pyarrow.array(values, pyarrow.uint64())


def _check_kind(name: str, kind: pyarrow.DataType) -> None:
    """Raise what writing a column would."""
    import datasets

    schema = datasets.Features.from_arrow_schema(pyarrow.schema([(name, kind)])).arrow_schema
    empty = pyarrow.table([pyarrow.array([], kind)], schema=schema)
    pyarrow.parquet.write_table(empty, pyarrow.BufferOutputStream())


def _groups(examples: Examples, longest: float | None) -> Iterator[tuple[int, list[dict]]]:
    """Rows of the column of audio, and the number of the first of them."""
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
            yield row + 1 - len(clips), clips
            clips, held = [], 0
