"""Running text: its documents and their paragraphs."""

from collections.abc import Iterable
from pathlib import Path

from stages.errors import InputError
from stages.records import choose_columns, read_table, read_text


def read_documents(path: str, text_column: str | None = None) -> list[list[str]]:
    """The documents of a file, each a list of paragraphs.

    In a text file an empty line ends a document; in a table each row of the text column is one.

    Raises:
        InputError: nothing but empty lines, and what `stages.records` refuses.
    """
    if Path(path).suffix in (".csv", ".tsv", ".json", ".jsonl"):
        table = read_table(path)
        (column,) = choose_columns(table, {"text_column_name": text_column}, ("text",)).values()
        texts = table.column(column)
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"{table.where(index)}: {column} is {text!r}; expected text")
        documents = [_paragraphs(text.splitlines()) for text in texts]
    else:
        documents, current = [], []
        for line in [*read_text(path), ""]:
            if line.strip():
                current.append(line.strip())
            elif current:
                documents.append(current)
                current = []
    documents = [document for document in documents if document]
    if not documents:
        raise InputError(f"{path}: no text in it; expected paragraphs, one a line")
    return documents


def _paragraphs(lines: Iterable[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
