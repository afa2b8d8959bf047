"""Running text as one stream of tokens on disk, and the blocks that it is cut into."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from stages.core.errors import EmptyInputError
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, encode_ids
from stages.data.store import RaggedColumn
from stages.data.views import LazySequence
from stages.data.writer import Writer, ragged_array
from stages.tasks.text.documents import read_texts


class Stream:
    """The tokens of documents one after another, behind an end-of-sequence token.

    Args:
        column: the same tokens, a document a row.
    """

    def __init__(self, column: RaggedColumn):
        self.fingerprint = column.fingerprint
        self._parts = column.values
        self._starts = np.cumsum([0, *map(len, self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def slice(self, start: int, stop: int) -> np.ndarray:
        """The tokens from `start` to before `stop`."""
        first, last = np.searchsorted(self._starts, (start, stop - 1), side="right") - 1
        pieces = [
            self._parts[part][max(start - offset, 0) : stop - offset]
            for part, offset in zip(
                range(first, last + 1), self._starts[first : last + 1].tolist(), strict=True
            )
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def blocks(self, size: int, start: int, stop: int, limit: int | None = None) -> "Blocks":
        """The tokens from `start` to before `stop` in rows of `size`, the last perhaps shorter.

        Args:
            size, start, stop: tokens.
            limit: only the first `limit` rows.
        """
        return Blocks(self, size, start, stop, limit)


class Blocks(LazySequence):
    """Rows of a stream, arrays [<= size]; see `Stream.blocks`."""

    def __init__(self, stream: Stream, size: int, start: int, stop: int, limit: int | None):
        count = -(-(stop - start) // size)
        if limit is not None and limit < count:
            count, stop = limit, start + limit * size
        self._stream, self._size = stream, size
        self._start, self._stop = start, stop
        self.lengths = np.full(count, size)
        if count:
            self.lengths[-1] = stop - start - (count - 1) * size
        self.fingerprint = f"{stream.fingerprint} {size} {start} {stop}"

    def __len__(self) -> int:
        return len(self.lengths)

    def row(self, row: int) -> np.ndarray:
        """One row, from 0."""
        begin = self._start + row * self._size
        return self._stream.slice(begin, min(begin + self._size, self._stop))


def token_stream(
    encoder: Encoder,
    texts: Iterable[str],
    count: int,
    name: str,
    *,
    cache: RowCache = UNCACHED,
    inputs: dict | None = None,
) -> Stream:
    """All documents as one stream, an end-of-sequence token before the first and behind each.

    Documents without a token are left out.

    Args:
        encoder: of a tokenizer that has an end-of-sequence token.
        texts: the documents.
        count: how many they are.
        name: of the data, for the message.
        cache: keeps the tokens.
        inputs: what `texts` are made from, plain data; needed with a cache.

    Raises:
        EmptyInputError: there is no token.
    """

    def build(writer: Writer) -> None:
        end = [encoder.tokenizer.eos_token_id]
        writer.write({"tokens": ragged_array([end], encoder.dtype)})
        for tokens in encoder.encode_all(texts, count, _ended):
            writer.write({"tokens": tokens})

    store = cache.get("stream", {"texts": inputs, "tokenizer": encoder.fingerprint}, build)
    stream = Stream(store.column("tokens"))
    check_tokens(range(1, len(stream)), name)
    return stream


def _ended(encoder: Encoder, texts: list[str]) -> pa.Array:
    """The tokens of each text that has some, with an end-of-sequence token behind them."""
    end = encoder.tokenizer.eos_token_id
    rows = [[*ids, end] for ids in encode_ids(encoder, texts, special_tokens=False) if ids]
    return ragged_array(rows, encoder.dtype)


def file_tokens(
    encoder: Encoder, path: str, change: Callable[[str], str] | None = None
) -> np.ndarray:
    """All tokens of a file, int32 [tokens], each document with an end-of-sequence token behind it.

    Args:
        encoder: as in `token_stream`.
        path: the file.
        change: what becomes of each document's text; None keeps it, blanks and line ends too.
    """
    documents = read_texts(path)
    texts = map(change, documents) if change else documents
    stream = token_stream(encoder, texts, len(documents), path)
    return stream.slice(1, len(stream)).astype(np.int32)


def check_tokens(rows: Sequence, name: str) -> None:
    """Refuse data without a token.

    Args:
        rows: what was made of them.
        name: of the data, for the message.
    """
    if not len(rows):
        raise EmptyInputError(f"{name}: the tokenizer finds no token in the text")
