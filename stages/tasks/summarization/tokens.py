"""Documents and summaries as tokens, and the prefix before a document."""

import logging
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from stages.core.errors import InputError, quoted
from stages.core.progress import is_silent
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder
from stages.data.store import RaggedColumn
from stages.data.views import ones
from stages.data.writer import Writer, ragged_array
from stages.tasks.summarization.examples import Examples

logger = logging.getLogger(__name__)


def _warn(*words) -> None:
    # Of a stream the first block tells.
    logger.log(logging.DEBUG if is_silent() else logging.WARNING, *words)


def tokenize(
    encoder: Encoder,
    examples: Examples,
    *,
    prefix: str,
    max_source_length: int,
    max_target_length: int,
    cache: RowCache = UNCACHED,
) -> dict[str, Sequence[np.ndarray]]:
    """Columns `input_ids`, `attention_mask` and, where there are summaries, `labels`.

    Each is one int array a row, ended by end-of-sequence. What is longer is cut before that token,
    and counted in one line of the log for documents and one for summaries; so are documents longer
    than the tokenizer says that the model was trained on.

    Raises:
        InputError: a tokenizer that puts no end-of-sequence behind a text; a prefix that leaves
            no room for a document.
    """
    path, tokenizer = examples.path, encoder.tokenizer
    used = len(encoder.encode([prefix])[0])
    if used >= max_source_length:
        raise InputError(
            f"--source_prefix {quoted(prefix)} takes {used} of the {max_source_length} tokens of "
            "--max_source_length; shorten it, or raise that"
        )
    documents = (prefix + text for text in examples.documents)
    inputs = {"column": "document", "prefix": prefix, "max_length": max_source_length}
    sources, cut = _rows(encoder, examples, documents, inputs, cache)
    if cut:
        _warn(
            "warning: %s: %d of %d documents are cut at %d tokens (--max_source_length)",
            path, cut, len(sources), max_source_length,
        )  # fmt: skip
    if long := int((sources.lengths > tokenizer.model_max_length).sum()):
        _warn(
            "warning: %s: %d of %d documents are longer than the %d tokens that the tokenizer "
            "names as the model's; relative positions reach further, but it was not trained there",
            path, long, len(sources), tokenizer.model_max_length,
        )  # fmt: skip
    columns = {"input_ids": sources, "attention_mask": ones(sources.lengths)}
    if examples.summaries is not None:
        inputs = {"column": "summary", "max_length": max_target_length}
        columns["labels"], cut = _rows(encoder, examples, examples.summaries, inputs, cache)
        if cut:
            _warn(
                "warning: %s: %d of %d summaries are cut at %d tokens (max_target_length)",
                path, cut, len(sources), max_target_length,
            )  # fmt: skip
    return columns


def _rows(
    encoder: Encoder, examples: Examples, texts: Iterable[str], inputs: dict, cache: RowCache
) -> tuple[RaggedColumn, int]:
    """The tokens of each text, at most `max_length`, and how many were cut to that."""

    def build(writer: Writer) -> dict:
        cut = 0
        make = partial(_cut_rows, max_length=inputs["max_length"])
        for tokens, longer in encoder.encode_all(texts, len(examples), make):
            cut += longer
            writer.write({"tokens": tokens})
        return {"cut": cut}

    made_from = {"rows": examples.store.fingerprint, "tokenizer": encoder.fingerprint, **inputs}
    store = cache.get("summarization-tokens", made_from, build)
    rows = store.column("tokens")
    if rows[0][-1:].tolist() != [encoder.tokenizer.eos_token_id]:
        raise InputError(
            f"the tokenizer of {encoder.tokenizer.name_or_path} does not end a text with its "
            "end-of-sequence token, and so no summary would learn to end; save one that does"
        )
    return rows, store.metadata["cut"]


def _cut_rows(encoder: Encoder, texts: list[str], max_length: int) -> tuple[pa.Array, int]:
    """The tokens of each text, and how many texts were cut to `max_length`."""
    encodings = encoder.encode(
        texts, truncation="longest_first", max_length=max_length, offsets=False
    )
    rows = ragged_array([one.ids for one in encodings], encoder.dtype)
    return rows, sum(bool(one.overflowing) for one in encodings)


def expected_prefix(config) -> str:
    """The prefix that the checkpoint's configuration names for summarization, or nothing."""
    tasks = getattr(config, "task_specific_params", None) or {}
    return tasks.get("summarization", {}).get("prefix") or ""


def check_prefix(config, prefix: str, name: str) -> None:
    """Log one warning where `prefix` is not what the model `name` was trained with."""
    expected = expected_prefix(config)
    if prefix == expected:
        return
    if expected:
        logger.warning(
            "warning: %s expects the prefix %r before a document (its config.json says so), but "
            "--source_prefix is %r; add --source_prefix %r",
            name, expected, prefix, expected,
        )  # fmt: skip
    else:
        logger.warning(
            "warning: %s needs no prefix (its config.json names none); --source_prefix %r only "
            "makes each document longer, unless training teaches it",
            name, prefix,
        )  # fmt: skip


def record_prefix(config, prefix: str) -> None:
    """Name in `config` the prefix that the model is trained with, for `check_prefix` later."""
    if prefix != expected_prefix(config):
        tasks = dict(getattr(config, "task_specific_params", None) or {})
        tasks["summarization"] = {**tasks.get("summarization", {}), "prefix": prefix}
        config.task_specific_params = tasks
