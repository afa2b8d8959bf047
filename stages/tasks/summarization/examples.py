"""Documents and their summaries, out of CSV and JSON files."""

from collections.abc import Iterator
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.data.cache import UNCACHED, RowCache
from stages.data.rows import StoredRows, write_columns
from stages.data.store import Store
from stages.data.tables import (
    ROW_NUMBERS,
    Table,
    choose_columns,
    is_placeholder,
    source_name,
    unusual_columns,
)
from stages.data.writer import Writer

DEFAULTS = {"text_column": "document", "summary_column": "summary"}


class Examples(StoredRows):
    """Documents and summaries, one entry a row, read from a store.

    documents: the texts.
    summaries: the reference of each, or None where the file has none.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    def __init__(self, path: str, store: Store):
        super().__init__(path, store)
        self.documents = store.column("document")
        self.summaries = store.column("summary") if "summary" in store.names else None


def read_examples(
    path: str | Path | Table,
    *,
    cache: RowCache = UNCACHED,
    limit: int | None = None,
    text_column: str | None = None,
    summary_column: str | None = None,
    needs_summaries: bool = True,
) -> Examples:
    """Read and check the rows of a .csv, .tsv or JSON file, or of a table.

    Columns not given are `document` and `summary` if there, else the columns in order.

    Args:
        path: the file, or rows from elsewhere.
        cache: keeps the rows.
        limit: read only the first `limit` rows.
        text_column, summary_column: the user's names.
        needs_summaries: whether rows without summaries are refused. If not, a summary column that
            is absent, or holds placeholders alone, means that there are none; and one is taken by
            its order only if the documents are too: beside a `document`, another column is
            something else.

    Raises:
        InputError: a column that is absent; a document or a summary that is null, empty or no
            text, with its row.
    """
    options = {
        "limit": limit,
        "text_column": text_column,
        "summary_column": summary_column,
        "needs_summaries": needs_summaries,
    }
    store = cache.table_rows("summarization", path, options, _write)
    return Examples(source_name(path), store)


def _write(
    writer: Writer,
    table: Table,
    *,
    limit: int | None,
    text_column: str | None,
    summary_column: str | None,
    needs_summaries: bool,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    table = table.first(limit)
    given = {"text_column": text_column, "summary_column": summary_column}
    if not needs_summaries and _has_no_summaries(table, given):
        del given["summary_column"]
    chosen = choose_columns(table, given, [DEFAULTS[flag] for flag in given])
    columns = {"document": _texts(table, chosen["text_column"], "text_column", "a document")}
    if "summary_column" in chosen:
        column = chosen["summary_column"]
        # Some rows with and some without a summary are refused: their scores would go in silence.
        hidden = all(map(is_placeholder, table.values(column)))
        if needs_summaries or not hidden:
            columns["summary"] = _texts(table, column, "summary_column", "a summary")
    write_columns(writer, table, columns)
    return {"columns": unusual_columns(chosen, DEFAULTS.values())}


def _has_no_summaries(table: Table, given: dict[str, str | None]) -> bool:
    """Whether no column of `table` is meant as that of the summaries."""
    if given["summary_column"] is not None or DEFAULTS["summary_column"] in table.columns:
        return False
    named = given["text_column"] is not None or DEFAULTS["text_column"] in table.columns
    return named or len(set(table.columns).difference(ROW_NUMBERS)) == 1


def _texts(table: Table, column: str, flag: str, kind: str) -> Iterator[str]:
    for number, row in enumerate(table.rows):
        value = row.get(column)
        if value is None:
            found = "null" if column in row else "missing"
        elif not isinstance(value, str):
            found = quoted(value)
        elif not value.strip():
            found = "empty"
        else:
            yield value
            continue
        raise InputError(
            f"{table.where(number)}: {quoted(column)} is {found}; expected {kind}: fill or drop "
            f"the row, or name another column with --{flag}"
        )
