"""Documents and summaries as tokens, and the prefix before a document."""

import logging

import numpy as np

from stages.core.errors import InputError, quoted
from stages.tasks.summarization.examples import Examples

logger = logging.getLogger(__name__)


def tokenize(
    tokenizer,
    examples: Examples,
    *,
    prefix: str,
    max_source_length: int,
    max_target_length: int,
) -> dict[str, list[np.ndarray]]:
    """Columns `input_ids`, `attention_mask` and, where there are summaries, `labels`.

    Each is one int32 array a row, ended by end-of-sequence. What is longer is cut before that
    token, and counted in one line of the log for documents and one for summaries; so are
    documents longer than the tokenizer says that the model was trained on.

    Raises:
        InputError: a tokenizer that puts no end-of-sequence behind a text; a prefix that leaves
            no room for a document.
    """
    path = examples.table.path
    used = len(tokenizer(prefix)["input_ids"])
    if used >= max_source_length:
        raise InputError(
            f"--source_prefix {quoted(prefix)} takes {used} of the {max_source_length} tokens of "
            "--max_source_length; shorten it, or raise that"
        )
    sources, cut = _rows(
        tokenizer, max_source_length, text=[prefix + t for t in examples.documents]
    )
    if cut:
        logger.warning(
            "warning: %s: %d of %d documents are cut at %d tokens (--max_source_length)",
            path, cut, len(sources), max_source_length,
        )  # fmt: skip
    if long := sum(len(row) > tokenizer.model_max_length for row in sources):
        logger.warning(
            "warning: %s: %d of %d documents are longer than the %d tokens that the tokenizer "
            "names as the model's; relative positions reach further, but it was not trained there",
            path, long, len(sources), tokenizer.model_max_length,
        )  # fmt: skip
    columns = {
        "input_ids": sources,
        "attention_mask": [np.ones(len(row), np.int32) for row in sources],
    }
    if examples.summaries is not None:
        columns["labels"], cut = _rows(tokenizer, max_target_length, text_target=examples.summaries)
        if cut:
            logger.warning(
                "warning: %s: %d of %d summaries are cut at %d tokens (max_target_length)",
                path, cut, len(sources), max_target_length,
            )  # fmt: skip
    return columns


def _rows(tokenizer, length: int, **texts: list[str]) -> tuple[list[np.ndarray], int]:
    """The tokens of each text, at most `length`, and how many were cut to that."""
    encoded = tokenizer(**texts, truncation=True, max_length=length)
    rows = [np.array(ids, np.int32) for ids in encoded["input_ids"]]
    if rows[0][-1:].tolist() != [tokenizer.eos_token_id]:
        raise InputError(
            f"the tokenizer of {tokenizer.name_or_path} does not end a text with its "
            "end-of-sequence token, and so no summary would learn to end; save one that does"
        )
    return rows, sum(bool(encoding.overflowing) for encoding in encoded.encodings)


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
