"""Parquet files with audio, or with paths of it: the rows without the audio, then the audio."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from stages.core.errors import InputError, quoted, shortened
from stages.data.spool import Spool
from stages.data.tables import Table

# Rows of text and numbers, and of audio, that are read at once.
_ROWS, _CLIPS = 1000, 64


def read_parquet(path: Path) -> Table:
    """The rows of a parquet file, without audio: of that only the path.

    Raises:
        InputError: it cannot be read, has no rows, or a column twice.
    """
    rows = Spool()
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
            if light or paths:
                for batch in file.iter_batches(_ROWS, columns=light + paths):
                    for row in batch.to_pylist():
                        rows.append(row, len(rows) + 1)
            else:
                for number in range(file.metadata.num_rows):
                    rows.append({}, number + 1, 0)
    # Values that are not UTF-8, or that Python cannot hold, raise other errors.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
        raise InputError(f"{path}: cannot be read as parquet ({shortened(reason, 200)})") from None
    if not rows:
        raise InputError(f"{path}: no rows")
    return Table(str(path), schema.names, rows)


def is_audio(path: Path, column: str) -> bool:
    """Whether a column of a parquet file is audio, rather than paths of it.

    Raises:
        InputError: it has bytes, but not as a column of audio has them.
    """
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


def read_audio(path: Path, column: str) -> Iterator[bytes | None]:
    """The bytes in a column of audio, row by row; None where a row has but a path."""
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_CLIPS, columns=[column]):
            for entry in batch.column(0).to_pylist():
                yield entry["bytes"] if isinstance(entry, dict) else entry


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def _has_path(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_struct(kind) and kind.get_field_index("path") >= 0
