"""Clips and their transcripts: a manifest of paths, a folder of audio, or a parquet file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow
import pyarrow.parquet

from stages.core.errors import InputError, quoted, shortened
from stages.core.files import inside
from stages.data.tables import Table, choose_columns, is_placeholder, read_table

# What `datasets` calls the manifest within a folder of audio.
MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

# An hour of two channels of 24 bits at 48 kHz; the whole file is read into memory.
MOST_BYTES = 2**30

_BATCH = 64


@dataclass(frozen=True)
class Examples:
    """Clips in rows; what they sound like is read when asked for.

    table: the rows without their audio, and where each comes from.
    names: the path or name of each clip, as the data has it.
    texts: the transcripts; None where there are none.
    audio_column, text_column: the columns' names in the data.
    folder: what the paths are relative to.
    stored: whether the audio itself is in the (parquet) file.
    within: the folder that the audio files must be in; None where they may be anywhere.
    """

    table: Table
    names: list[str]
    texts: list[str] | None
    audio_column: str
    text_column: str | None
    folder: Path
    stored: bool
    within: Path | None

    def __len__(self) -> int:
        return len(self.names)

    def where(self, row: int) -> str:
        """The place of a clip for a message."""
        return f"{self.table.where(row)} ({shortened(self.names[row])})"

    def first(self, count: int | None) -> "Examples":
        """The first `count` clips; all of them for None."""
        texts = None if self.texts is None else self.texts[:count]
        return replace(self, table=self.table.first(count), names=self.names[:count], texts=texts)

    def lower_case(self) -> "Examples":
        """The same clips with their transcripts in lower case."""
        if self.texts is None:
            return self
        return replace(self, texts=[text.lower() for text in self.texts])

    def contents(self) -> Iterator[bytes]:
        """The whole audio file of each row, in order, a few at a time in memory.

        Raises:
            InputError: a file that cannot be read.
        """
        found = self._stored() if self.stored else iter([None] * len(self))
        for row, content in zip(range(len(self)), found, strict=False):
            yield self._read(row) if content is None else content

    def _stored(self) -> Iterator[bytes | None]:
        with pyarrow.parquet.ParquetFile(self.table.path) as file:
            for batch in file.iter_batches(_BATCH, columns=[self.audio_column]):
                for entry in batch.column(0).to_pylist():
                    yield entry["bytes"] if isinstance(entry, dict) else entry

    def path(self, row: int) -> Path:
        """The audio file of a row that has one.

        Raises:
            InputError: there is none, it lies outside `within`, or is larger than a clip may be.
        """
        path = self.folder / self.names[row]
        try:
            if self.within is not None:
                inside(self.within, path.absolute())
            size = path.stat().st_size if path.is_file() else None
        except InputError as error:
            raise InputError(f"{self.where(row)}: {error}") from None
        except OSError as error:  # a name that is too long
            raise self._refusal(row, (error.strerror or str(error)).lower()) from None
        if size is None:
            raise self._refusal(row, "no such file")
        if size > MOST_BYTES:
            raise InputError(
                f"{self.where(row)}: {size} bytes; a clip has at most {MOST_BYTES}, cut it, or "
                "leave the row out"
            )
        return path

    def _read(self, row: int) -> bytes:
        try:
            return self.path(row).read_bytes()
        except OSError as error:
            raise self._refusal(row, (error.strerror or str(error)).lower()) from None

    def _refusal(self, row: int, reason: str) -> InputError:
        return InputError(
            f"{self.where(row)}: {reason}; give the path of an audio file, relative to "
            f"{self.folder}"
        )


def read_examples(
    path: str | Path,
    *,
    limit: int | None = None,
    audio_column: str | None = None,
    text_column: str | None = None,
    needs_texts: bool = True,
    lower_case: bool = False,
    within: Path | None = None,
) -> Examples:
    """Read and check the rows of a manifest, of a folder of audio, or of a parquet file.

    A manifest is CSV or JSON lines with the paths of audio files, relative to it. A folder holds
    `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with such paths in `file_name`, as
    `datasets` has it. In a parquet file the audio is a column of `{bytes, path}`, as on the hub.

    Args:
        path: the file or folder.
        limit: keep only the first `limit` clips; all rows are checked.
        audio_column, text_column: the user's names; else `audio` (or `file_name`) and `text`,
            else the next in order.
        needs_texts: whether rows without a transcript are refused; if not, transcripts are kept
            only where all rows have one.
        lower_case: put the transcripts in lower case.
        within: the folder that all audio files must be in, links followed. By default those that
            a parquet file names must be in its own, while CSV and JSON may name any file.

    Raises:
        InputError: what `read_table` refuses; no such column; a path that leads nowhere, or out of
            `within`; a transcript that is missing or empty.
    """
    path = _manifest(Path(path))
    stored = path.suffix.lower() == ".parquet"
    within = path.parent if stored and within is None else within
    table = _read_parquet(path) if stored else read_table(path)
    usual = "audio" if "audio" in table.columns else "file_name"
    flags = {"audio_column_name": audio_column}
    # Without need for transcripts a column counts only if it is given or has the usual name.
    if needs_texts or text_column is not None or "text" in table.columns:
        flags["text_column_name"] = text_column
    chosen = choose_columns(table, flags, (usual, "text")[: len(flags)])
    audio_column, text_column = chosen["audio_column_name"], chosen.get("text_column_name")
    stored = stored and _is_audio(path, audio_column)
    names = [_name(table, row, audio_column, stored) for row in range(len(table))]
    texts = None
    if text_column is not None:
        texts = [_text(table, row, text_column, needs_texts) for row in range(len(table))]
        texts = None if None in texts else texts
    examples = Examples(table, names, texts, audio_column, text_column, path.parent, stored, within)
    if not stored:
        for row in range(len(examples)):
            examples.path(row)
    examples = examples.first(limit)
    return examples.lower_case() if lower_case else examples


def _manifest(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in MANIFESTS if (path / name).is_file()]
    if len(found) != 1:
        names = " and ".join(file.name for file in found) or "none"
        raise InputError(
            f"{path}: expected one of {', '.join(MANIFESTS)} in the folder, found {names}"
        )
    return found[0]


def _read_parquet(path: Path) -> Table:
    """The rows of a parquet file, without audio: of that only the path."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
            if twice is not None:
                raise InputError(f"{path}: the column {quoted(twice)} is there twice; rename one")
            light = [name for name in schema.names if not _holds_bytes(schema.field(name).type)]
            paths = [
                f"{name}.path"
                for name in schema.names
                if name not in light and _has_path(schema.field(name).type)
            ]
            rows = file.read(columns=light + paths).to_pylist()
            rows = rows or [{} for _ in range(file.metadata.num_rows)]
    # Values that are not UTF-8, or that Python cannot hold, raise other errors.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
        raise InputError(f"{path}: cannot be read as parquet ({shortened(reason, 200)})") from None
    if not rows:
        raise InputError(f"{path}: no rows")
    return Table(str(path), schema.names, rows)


def _is_audio(path: Path, column: str) -> bool:
    """Whether a column of a parquet file is audio, rather than paths of it."""
    kind = pyarrow.parquet.read_schema(path).field(column).type
    found = _holds_bytes(kind)
    if found and pyarrow.types.is_struct(kind):
        inner = kind.get_field_index("bytes")
        if inner < 0 or pyarrow.types.is_nested(kind.field(inner).type):
            raise InputError(
                f"{path}: {quoted(column)} is {shortened(str(kind))}; expected the bytes of "
                "audio files, or {bytes, path} as on the hub"
            )
    return found


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def _has_path(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_struct(kind) and kind.get_field_index("path") >= 0


def _name(table: Table, row: int, column: str, stored: bool) -> str:
    value = table.rows[row].get(column)
    if isinstance(value, dict):
        value = value.get("path")
    if value is None and stored:
        return f"{row + 1:06d}"
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected the path of "
            "an audio file (name its column with --audio_column_name)"
        )
    return value


def _text(table: Table, row: int, column: str, needed: bool) -> str | None:
    value = table.rows[row].get(column)
    if isinstance(value, str) and value.strip() and (needed or not is_placeholder(value)):
        return value.strip()
    if not needed:
        return None
    raise InputError(
        f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected a transcript (name its "
        "column with --text_column_name, or leave the row out)"
    )
