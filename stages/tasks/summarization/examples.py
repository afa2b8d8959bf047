"""Documents and their summaries, out of CSV and JSON files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.data.cache import UNCACHED, RowCache
from stages.data.columns import Role, choose_columns, holds_text
from stages.data.rows import StoredRows, write_columns
from stages.data.store import Store
from stages.data.tables import Table, is_placeholder, source_name
from stages.data.writer import Writer

# The names in the data sets that the reference's script knows.
DOCUMENT = Role(
    "document", "text_column", ("document", "article", "text", "dialogue", "body"), holds_text
)
SUMMARY = Role("summary", "summary_column", ("summary", "highlights"), holds_text)


class Examples(StoredRows):
    """Documents and summaries, one entry a row, read from a store.

    documents: the texts.
    summaries: the reference of each, or None where the file has none.
    columns: which column of the file is `document` and `summary`.

    Args:
        path: the file, for messages.
        store: what `_write` writes.
    """

    roles = (DOCUMENT, SUMMARY)

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
    source_columns: Mapping[str, str] | None = None,
) -> Examples:
    """Read and check the rows of a .csv, .tsv or JSON file, or of a table.

    Columns not given have a known name, else are the only ones they can be.

    Args:
        path: the file, or rows from elsewhere.
        cache: keeps the rows.
        limit: read only the first `limit` rows.
        text_column, summary_column: the user's names.
        needs_summaries: whether rows without summaries are refused. If not, a summary column that
            is absent, or holds placeholders alone, means that there are none; and one counts only
            if it is given or has a known name.
        source_columns: as in `choose_columns`.

    Raises:
        InputError: a column that is absent; a document or a summary that is null, empty or no
            text, with its row.
    """
    options = {
        "limit": limit,
        "text_column": text_column,
        "summary_column": summary_column,
        "needs_summaries": needs_summaries,
        "source_columns": source_columns,
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
    source_columns: Mapping[str, str] | None,
) -> dict:
    """Check the rows and write them; the arguments are those of `read_examples`."""
    table = table.first(limit)
    given = {DOCUMENT.flag: text_column, SUMMARY.flag: summary_column}
    optional = () if needs_summaries else (SUMMARY,)
    chosen = choose_columns(
        table, Examples.roles, given, optional=optional, source_columns=source_columns
    )
    columns = {"document": _texts(table, chosen[DOCUMENT.name], DOCUMENT.flag, "a document")}
    if SUMMARY.name in chosen:
        column = chosen[SUMMARY.name]
        # Some rows with and some without a summary are refused: their scores would go in silence.
        hidden = all(map(is_placeholder, table.values(column)))
        if needs_summaries or not hidden:
            columns["summary"] = _texts(table, column, SUMMARY.flag, "a summary")
    write_columns(writer, table, columns)
    return {"columns": chosen}


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
