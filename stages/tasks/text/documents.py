"""Running text: its documents, and what scores of their tokens mean."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

import numpy as np

from stages.core.errors import EmptyInputError, InputError
from stages.data.cache import UNCACHED, RowCache
from stages.data.columns import ChosenColumns, Role, choose_columns, holds_text, say_columns
from stages.data.store import Column, Store
from stages.data.tables import Table, is_table, read_plain_text, read_table, source_name
from stages.data.text import split_lines
from stages.data.writer import Writer, build_store, in_chunks, text_array

TEXT = Role("text", "text_column_name", ("text",), holds_text)


def iter_texts(
    path: str | Path | Table,
    text_column: str | None = None,
    source_columns: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The documents of a file, or of rows from elsewhere, blanks and line ends as they are.

    In a table each row of the text column is a document. In a plain text file a blank line ends
    one, so that it has none within. Prints which column they are.

    Args:
        path: the file, or the rows.
        text_column: of a table, the user's name of it.
        source_columns: as in `choose_columns`.

    Raises:
        EmptyInputError: nothing but blanks.
        InputError: a row that is no text; what `choose_columns` and `stages.data.tables` refuse.
    """
    texts, columns = _documents(path, text_column, source_columns)
    say_columns(source_name(path), columns)
    return texts


def _documents(
    path: str | Path | Table, text_column: str | None, source_columns: Mapping[str, str] | None
) -> tuple[Iterator[str], dict[str, str]]:
    """The documents, and which column of a table they are."""
    if not isinstance(path, Table) and not is_table(path):
        return _refuse_empty(path, _plain_documents(read_plain_text(path))), {}
    table = path if isinstance(path, Table) else read_table(path)
    chosen = choose_text(table, text_column, source_columns)
    return _refuse_empty(path, table.texts(chosen)), {TEXT.name: chosen}


def choose_text(
    table: Table, given: str | None, source_columns: Mapping[str, str] | None = None
) -> str:
    """The column of the text: see `choose_columns`."""
    given = {TEXT.flag: given}
    return choose_columns(table, [TEXT], given, source_columns=source_columns)[TEXT.name]


def _refuse_empty(path: str | Path | Table, texts: Iterable[str]) -> Iterator[str]:
    empty = True
    for text in texts:
        if text.strip():
            empty = False
            yield text
    if empty:
        raise EmptyInputError(
            f"{source_name(path)}: no text in it; expected paragraphs, one a line"
        )


def _plain_documents(lines: Iterable[str]) -> Iterator[str]:
    current: list[str] = []
    for line in chain(lines, [""]):
        if line.strip():
            current.append(line)
        elif current:
            yield "\n".join(current)
            current = []


def read_texts(path: str | Path | Table, text_column: str | None = None, **options) -> Column:
    """The documents of a file in a store, see `iter_texts`; prints which column they are.

    Args:
        path, text_column, options: as in `read_documents`.
    """
    documents = read_documents(path, text_column, **options)
    # Of a stream, the first block says it for all.
    if not (isinstance(path, Table) and path.continued):
        say_columns(source_name(path), documents.columns)
    return documents.texts


class Documents(ChosenColumns):
    """Running text in a store.

    texts: the documents.

    Args:
        store: its metadata has `columns`, none for plain text.
    """

    roles = (TEXT,)

    def __init__(self, store: Store):
        self.texts = store.column("text")
        self.columns = store.metadata["columns"]


def read_documents(
    path: str | Path | Table,
    text_column: str | None = None,
    *,
    source_columns: Mapping[str, str] | None = None,
    cache: RowCache = UNCACHED,
) -> Documents:
    """The documents of a file in a store, see `iter_texts`.

    Args:
        path: the file, or rows from elsewhere, which are not kept.
        text_column, source_columns: as in `iter_texts`.
        cache: keeps them.
    """

    def build(writer: Writer) -> dict:
        texts, columns = _documents(path, text_column, source_columns)
        for chunk in in_chunks(texts):
            writer.write({"text": text_array(chunk)})
        return {"columns": columns}

    if isinstance(path, Table):
        return Documents(build_store(build))
    options = {"text_column": text_column, "source_columns": source_columns}
    return Documents(cache.file_rows("texts", path, options, build))


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a document: its lines without blanks around them."""
    return [line.strip() for line in split_lines(text) if line.strip()]


def without_linebreaks(text: str) -> str:
    """The lines of a document, joined by spaces."""
    return " ".join(split_lines(text))


def joined(text: str) -> str:
    """The paragraphs of a document, joined by blanks."""
    return " ".join(paragraphs(text))


def read_paragraphs(path: str | Path, limit: int | None = None, **columns) -> list[str]:
    """The paragraphs of all documents of a file, the first `limit` of them.

    Args:
        path: the file.
        limit: paragraphs at most.
        columns: `text_column` and `source_columns` of `iter_texts`.
    """
    texts = iter_texts(path, **columns)
    found = (paragraph for text in texts for paragraph in paragraphs(text))
    return list(islice(found, limit))


def token_bytes(tokenizer, *, blanks: bool = False) -> np.ndarray:
    """The bytes of text that each piece stands for; a special piece stands for none.

    Args:
        tokenizer: any fast one.
        blanks: count the blanks before and after a piece too, where its vocabulary has them.

    Returns:
        int64 array [pieces]; what a piece of a byte-level vocabulary holds is counted in bytes
        though they may be no whole character.
    """
    from tokenizers import decoders

    backend = tokenizer.backend_tokenizer
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    if isinstance(backend.decoder, decoders.ByteLevel):
        # There each character of a piece is a byte, and these three are blank ones.
        sizes = [len(piece if blanks else piece.strip("ĠĊĉ")) for piece in pieces]
    else:
        prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""
        texts = [
            tokenizer.convert_tokens_to_string([piece.removeprefix(prefix)])
            # Decoded alone, a piece would lose the blank that its first character stands for.
            if prefix or "▁" not in piece else piece.replace("▁", " ")
            for piece in pieces
        ]  # fmt: skip
        sizes = [len((text if blanks else text.strip()).encode()) for text in texts]
    sizes = np.array(sizes)
    sizes[tokenizer.all_special_ids] = 0
    return sizes


def language_metrics(
    total: float, count: float, hits: float, scored_bytes: float
) -> dict[str, float]:
    """Loss, accuracy, perplexity and bits per byte of the tokens scored.

    Args:
        total: their negative log likelihoods in nats, summed.
        count: how many they are.
        hits: of how many the likeliest token was right.
        scored_bytes: what they stand for. Marks, as a document's end, cost bits and stand for no
            byte: without them the text could not be restored.

    Raises:
        InputError: no bytes.
    """
    if not scored_bytes:
        raise InputError(
            "the evaluation text holds no token to score, only special ones such as the unknown; "
            "does the tokenizer belong to this language?"
        )
    return {
        "eval_loss": total / count,
        "eval_accuracy": hits / count,
        "eval_perplexity": math.exp(min(total / count, 700.0)),
        # A smaller vocabulary flatters the perplexity of a token; a byte is a byte.
        "eval_bits_per_byte": total / math.log(2) / scored_bytes,
    }
