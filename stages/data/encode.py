"""Texts into tokens, in batches on all cores, and these into columns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Encoding, Tokenizer

from stages.core.checksums import checksum
from stages.core.progress import Progress
from stages.data.prefetch import prefetch
from stages.data.store import Store
from stages.data.views import ones
from stages.data.writer import in_chunks, ragged_array


class Encoder:
    """A fast tokenizer without the settings of its last call, and without their trace in it.

    It gives the tokens that `tokenizer(...)` of transformers gives, which spends as long on turning
    them into lists as on finding them; and truncation that was asked for is not saved with it.

    Args:
        tokenizer: any fast one.
    """

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    @cached_property
    def _backend(self) -> Tokenizer:
        backend = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = self.tokenizer.split_special_tokens
        return backend

    @cached_property
    def fingerprint(self) -> str:
        """Identifies all that tokens depend on besides the arguments of a call."""
        tokenizer = self.tokenizer
        settings = [
            tokenizer.split_special_tokens,
            tokenizer.truncation_side,
            tokenizer.model_input_names,
            tokenizer.special_tokens_map,
        ]
        return checksum([self._backend.to_str().encode(), repr(settings).encode()])

    @cached_property
    def dtype(self) -> type:
        """The smallest type that holds every token."""
        return np.uint16 if max(self.tokenizer.get_vocab().values()) < 2**16 else np.int32

    @property
    def has_segments(self) -> bool:
        """Whether the model is given the segment of each token."""
        return "token_type_ids" in self.tokenizer.model_input_names

    def encode(
        self,
        texts: Sequence,
        *,
        special_tokens: bool = True,
        words: bool = False,
        truncation: str | None = None,
        max_length: int | None = None,
        stride: int = 0,
    ) -> list[Encoding]:
        """The tokens of texts, of pairs of texts, or with `words` of lists of words.

        Args:
            texts: the rows.
            special_tokens: whether to add what the tokenizer puts around a text.
            words: whether a row is a list of words.
            truncation: `longest_first` or `only_second`, to `max_length` tokens; None keeps all.
            max_length: tokens of a row, special ones included.
            stride: tokens that a row shares with the one cut off from it.
        """
        if truncation is None:
            self._backend.no_truncation()
        else:
            self._backend.enable_truncation(
                max_length,
                stride=stride,
                strategy=truncation,
                direction=self.tokenizer.truncation_side,
            )
        return self._backend.encode_batch(
            list(texts), is_pretokenized=words, add_special_tokens=special_tokens
        )

    def encode_all(
        self, rows: Iterable, total: int, encode: Callable[[list], Any] | None = None, **options
    ) -> Iterator[Any]:
        """The tokens of chunks of rows, those of the next made while the last ones are used.

        Args:
            rows: as in `encode`.
            total: how many there are, to show how far it is.
            encode: makes of a chunk what is given of it; nothing else may use the encoder
                meanwhile. `encode` by default.
            options: of `encode`.
        """
        encode = encode or partial(self.encode, **options)

        def counted(chunk: list) -> tuple[int, Any]:
            return len(chunk), encode(chunk)

        with Progress("tokens", "row", total) as progress:
            for count, encoded in prefetch(in_chunks(rows), counted, depth=2):
                # Before they are used: a caller that needs no more does not come back.
                progress.advance(count)
                yield encoded

    def columns(self, encodings: Sequence[Encoding]) -> dict[str, pa.Array]:
        """`input_ids`, and `token_type_ids` if the model is given them, for `Writer.write`."""
        arrays = {"input_ids": ragged_array([one.ids for one in encodings], self.dtype)}
        if self.has_segments:
            segments = [one.type_ids for one in encodings]
            arrays["token_type_ids"] = ragged_array(segments, np.uint8)
        return arrays


def token_columns(store: Store) -> dict[str, Sequence]:
    """The columns of tokens of a store, for `stages.data.batching.Batches`."""
    names = [name for name in ("input_ids", "token_type_ids") if name in store.names]
    columns = {name: store.column(name) for name in names}
    columns["attention_mask"] = ones(columns["input_ids"].lengths)
    return columns
