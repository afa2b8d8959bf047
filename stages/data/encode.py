"""Texts into tokens, in batches on all cores, and these into columns."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from tokenizers import Encoding, Tokenizer

from stages.core.checksums import checksum
from stages.core.progress import Progress
from stages.data.prefetch import prefetch
from stages.data.store import Store
from stages.data.views import ones
from stages.data.worker_processes import in_processes
from stages.data.writer import in_chunks, ragged_array

# With this many rows or more, separate processes pay for their start.
ROWS_FOR_PROCESSES = 50_000

Made = TypeVar("Made")
# What an encoder makes of a chunk of rows; in another process, so it is a function of a module, or
# a `partial` of one.
Make = Callable[["Encoder", list], Made]


class Encoder:
    """A fast tokenizer without the settings of its last call, and without their trace in it.

    It gives the tokens that `tokenizer(...)` of transformers gives, which spends as long on turning
    them into lists as on finding them; and truncation that was asked for is not saved with it.

    Args:
        tokenizer: any fast one. In another process it has the attributes of `_SENT` alone.
    """

    _SENT = (
        "cls_token_id", "eos_token_id", "model_input_names", "sep_token_id", "truncation_side",
    )  # fmt: skip

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __getstate__(self) -> dict:
        sent = {name: getattr(self.tokenizer, name) for name in self._SENT}
        return {"backend": self._backend.to_str(), "dtype": self.dtype,
                "split": self._backend.encode_special_tokens, "tokenizer": sent}  # fmt: skip

    def __setstate__(self, state: dict) -> None:
        # Without transformers, which takes seconds to import.
        self.tokenizer = SimpleNamespace(**state["tokenizer"])
        self.dtype = state["dtype"]
        self._backend = Tokenizer.from_str(state["backend"])
        self._backend.encode_special_tokens = state["split"]

    @cached_property
    def _backend(self) -> Tokenizer:
        backend = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = self.tokenizer.split_special_tokens
        return backend

    def special_tokens(self, *, pair: bool) -> int:
        """How many tokens are put around a text, or two."""
        return self._backend.num_special_tokens_to_add(pair)

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
        offsets: bool = True,
    ) -> list[Encoding]:
        """The tokens of texts, of pairs of texts, or with `words` of lists of words.

        Args:
            texts: the rows.
            special_tokens: whether to add what the tokenizer puts around a text.
            words: whether a row is a list of words.
            truncation: `longest_first` or `only_second`, to `max_length` tokens; None keeps all.
            max_length: tokens of a row, special ones included.
            stride: tokens that a row shares with the one cut off from it.
            offsets: whether characters and words of each token are needed; a fifth faster without.
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
        encode = self._backend.encode_batch if offsets else self._backend.encode_batch_fast
        return encode(list(texts), is_pretokenized=words, add_special_tokens=special_tokens)

    def encode_all(self, rows: Iterable, total: int, make: "Make[Made]") -> Iterator[Made]:
        """What `make(encoder, chunk)` gives of chunks of rows, in their order.

        Those of the next chunks are made meanwhile: of many rows in a process a core, else in a
        thread; nothing else may use the encoder then.

        Args:
            rows: as in `encode`.
            total: how many there are, to show how far it is.
            make: see `Make`.
        """
        counted = partial(_counted, self, make)
        count = _process_count() if total >= ROWS_FOR_PROCESSES else 1
        if count > 1:
            made = in_processes(counted, in_chunks(rows), count)
        else:
            made = prefetch(in_chunks(rows), counted, depth=2)
        with Progress("tokens", "row", total) as progress:
            for count, one in made:
                # Before it is used: a caller that needs no more does not come back.
                progress.advance(count)
                yield one

    def columns(self, encodings: Sequence[Encoding]) -> dict[str, pa.Array]:
        """`input_ids`, and `token_type_ids` if the model is given them, for `Writer.write`."""
        arrays = {"input_ids": ragged_array([one.ids for one in encodings], self.dtype)}
        if self.has_segments:
            segments = [one.type_ids for one in encodings]
            arrays["token_type_ids"] = ragged_array(segments, np.uint8)
        return arrays


def _process_count() -> int:
    """As many as a tokenizer would have threads."""
    from joblib import cpu_count  # a quarter of a second

    return int(os.environ.get("RAYON_NUM_THREADS") or cpu_count())


def _counted(encoder: Encoder, make: "Make[Made]", chunk: list) -> tuple[int, Made]:
    return len(chunk), make(encoder, chunk)


def encode_columns(encoder: Encoder, texts: list, **options: Any) -> dict[str, pa.Array]:
    """The columns of texts: a `Make`; `options` of `Encoder.encode`."""
    return encoder.columns(encoder.encode(texts, offsets=False, **options))


def encode_ids(encoder: Encoder, texts: list, **options: Any) -> list[list[int]]:
    """The tokens of each text: a `Make`; `options` of `Encoder.encode`."""
    return [one.ids for one in encoder.encode(texts, offsets=False, **options)]


def token_columns(store: Store) -> dict[str, Sequence]:
    """The columns of tokens of a store, for `stages.data.batching.Batches`."""
    names = [name for name in ("input_ids", "token_type_ids") if name in store.names]
    columns = {name: store.column(name) for name in names}
    columns["attention_mask"] = ones(columns["input_ids"].lengths)
    return columns
