"""Clips and their transcripts: a manifest of paths, a folder of audio, or a parquet file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from stages.core.errors import InputError, quoted, shortened
from stages.core.files import inside
from stages.data.cache import UNCACHED, RowCache
from stages.data.columns import ChosenColumns, Role, choose_columns, holds_text
from stages.data.rows import LINE, write_columns
from stages.data.store import Store
from stages.data.tables import Table, is_placeholder, place
from stages.data.views import Mapped
from stages.data.writer import Writer
from stages.tasks.speech.manifest import find_manifest, is_parquet, read_rows
from stages.tasks.speech.parquet import is_audio, read_audio

AUDIO = Role("audio", "audio_column_name", ("audio", "file_name", "path", "file"))
TEXT = Role(
    "text", "text_column_name", ("text", "sentence", "transcript", "transcription"), holds_text
)

# An hour of two channels of 24 bits at 48 kHz; the whole file is read into memory.
MOST_BYTES = 2**30


class Examples(ChosenColumns):
    """Clips in rows, read from a store; what they sound like is read when asked for.

    names: the path or name of each clip, as the data has it.
    texts: the transcripts; None where there are none.
    audio_column, text_column: their names in it.
    folder: what the paths are relative to.
    stored: whether the audio itself is in the (parquet) file.

    Args:
        path: the file of the rows.
        store: what `_write` writes.
        within: the folder that the audio files must be in; None where they may be anywhere.
        limit: only the first `limit` clips.
        lower_case: whether the transcripts are put in lower case.
    """

    roles = (AUDIO, TEXT)

    def __init__(
        self,
        path: Path,
        store: Store,
        within: Path | None,
        limit: int | None = None,
        lower_case: bool = False,
    ):
        self.path, self.store, self.within = path, store, within
        self.folder = path.parent
        self.columns: dict[str, str] = store.metadata["columns"]
        self.audio_column = self.columns[AUDIO.name]
        self.text_column = self.columns.get(TEXT.name)
        self.stored: bool = store.metadata["stored"]
        self._lower_case = lower_case
        self._lines = store.column(LINE)
        self.names = store.column("name", limit)
        self.texts = store.column("text", limit) if "text" in store.names else None
        if lower_case and self.texts is not None:
            self.texts = Mapped(self.texts, str.lower, "lower case")

    def __len__(self) -> int:
        return len(self.names)

    def where(self, row: int) -> str:
        """The place of a clip for a message."""
        found = place(str(self.path), row, self._lines[row])
        return f"{found} ({shortened(self.names[row])})"

    def first(self, count: int | None) -> "Examples":
        """The first `count` clips; all of them for None."""
        count = len(self) if count is None else min(count, len(self))
        return Examples(self.path, self.store, self.within, count, self._lower_case)

    def lower_case(self) -> "Examples":
        """The same clips with their transcripts in lower case."""
        return Examples(self.path, self.store, self.within, len(self), lower_case=True)

    def contents(self) -> Iterator[bytes]:
        """The whole audio file of each row, in order, a few at a time in memory.

        Raises:
            InputError: a file that cannot be read.
        """
        found = read_audio(self.path, self.audio_column) if self.stored else iter([])
        for row in range(len(self)):
            content = next(found, None)
            yield self._read(row) if content is None else content

    def file(self, row: int) -> Path:
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
            return self.file(row).read_bytes()
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
    cache: RowCache = UNCACHED,
    table: Table | None = None,
    limit: int | None = None,
    audio_column: str | None = None,
    text_column: str | None = None,
    needs_texts: bool = True,
    source_columns: Mapping[str, str] | None = None,
    lower_case: bool = False,
    within: Path | None = None,
) -> Examples:
    """Read and check the rows of a manifest, of a folder of audio, or of a parquet file.

    A manifest is CSV or JSON lines with the paths of audio files, relative to it. A folder holds
    `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with such paths in `file_name`, as
    `datasets` has it. In a parquet file the audio is a column of `{bytes, path}`, as on the hub.

    Args:
        path: the file or folder.
        cache: keeps the rows, not the audio.
        table: what `read_rows` gives, if that was called before.
        limit: keep only the first `limit` clips; all rows are checked.
        audio_column, text_column: the user's names; else columns of a known name, else the only
            ones they can be.
        needs_texts: whether rows without a transcript are refused; if not, transcripts are kept
            only where all rows have one.
        source_columns: as in `choose_columns`.
        lower_case: put the transcripts in lower case.
        within: the folder that all audio files must be in, links followed. By default those that
            a parquet file names must be in its own, while CSV and JSON may name any file.

    Raises:
        InputError: what `read_table` refuses; no such column; a path that leads nowhere, or out of
            `within`; a transcript that is missing or empty.
    """
    path = find_manifest(path)
    if within is None and is_parquet(path):
        within = path.parent
    options = {
        "audio_column": audio_column,
        "text_column": text_column,
        "needs_texts": needs_texts,
        "source_columns": source_columns,
    }

    def build(writer: Writer) -> dict:
        return _write(writer, path, read_rows(path) if table is None else table, **options)

    examples = Examples(path, cache.file_rows("speech", path, options, build), within)
    # The files are not in the cache: they may be gone since the rows were put there.
    if not examples.stored:
        for row in range(len(examples)):
            examples.file(row)
    examples = examples.first(limit)
    return examples.lower_case() if lower_case else examples


def _write(
    writer: Writer,
    path: Path,
    table: Table,
    *,
    audio_column: str | None,
    text_column: str | None,
    needs_texts: bool,
    source_columns: Mapping[str, str] | None,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    given = {AUDIO.flag: audio_column, TEXT.flag: text_column}
    optional = () if needs_texts else (TEXT,)
    chosen = choose_columns(
        table, Examples.roles, given, optional=optional, source_columns=source_columns
    )
    audio_column, text_column = chosen[AUDIO.name], chosen.get(TEXT.name)
    stored = is_parquet(path) and is_audio(path, audio_column)
    columns = {"name": _names(table, audio_column, stored)}
    if text_column is not None:
        texts = _texts(table, text_column, needs_texts)
        if needs_texts or None not in texts:
            columns["text"] = _texts(table, text_column, needs_texts)
    write_columns(writer, table, columns)
    return {"columns": chosen, "stored": stored}


def _names(table: Table, column: str, stored: bool) -> Iterator[str]:
    for row, value in enumerate(table.values(column)):
        if isinstance(value, dict):
            value = value.get("path")
        if value is None and stored:
            yield f"{row + 1:06d}"
        elif isinstance(value, str) and value.strip():
            yield value
        else:
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected the path of "
                "an audio file (name its column with --audio_column_name)"
            )


def _texts(table: Table, column: str, needed: bool) -> Iterator[str | None]:
    for row, value in enumerate(table.values(column)):
        if isinstance(value, str) and value.strip() and (needed or not is_placeholder(value)):
            yield value.strip()
        elif not needed:
            yield None
        else:
            raise InputError(
                f"{table.where(row)}: {quoted(column)} is {quoted(value)}; expected a transcript "
                "(name its column with --text_column_name, or leave the row out)"
            )
