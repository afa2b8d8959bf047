"""Documents and summaries in a user's files, see `stages.tasks.own_data`."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stages.data.columns import listed_columns
from stages.data.tables import TABLES, Table
from stages.tasks.own_data import (
    BEATS,
    Items,
    Plan,
    Sizes,
    left_out,
    length_line,
    read_own_table,
    tokens,
    vocabulary_size,
)
from stages.tasks.own_training import mean_length, row_length, schedule
from stages.tasks.seq2seq_own_data import new_t5
from stages.tasks.summarization.convert import Source
from stages.tasks.summarization.examples import DOCUMENT, SUMMARY, read_examples

ENDINGS, SEVERAL = TABLES, False
MODEL = "t5"


def read(paths: list[Path], source: Source) -> Items:
    """The rows of a table; a document may be a list of sentences, a summary a list of several."""
    (path,) = paths
    table, said = read_own_table(path)
    for line in said:  # what refuses the columns below names them so
        print(line)
    table, said = _without_lists(path, table, source)
    examples = read_examples(
        table, text_column=source.text_column, summary_column=source.summary_column
    )
    chosen = examples.columns
    return Items(
        rows=list(table.rows),
        shared=[(text,) for text in examples.documents],
        data={role.flag: chosen[role.name] for role in (DOCUMENT, SUMMARY)},
        text=chosen[DOCUMENT.name],
        said=[f"columns: {listed_columns(chosen)}", *said, *left_out(table, chosen.values())],
    )


def _without_lists(path: Path, table: Table, source: Source) -> tuple[Table, list[str]]:
    """Sentences of a document joined, and the first of several summaries, in columns of lists."""
    documents = {source.text_column, *DOCUMENT.known}
    summaries = {source.summary_column, *SUMMARY.known}
    found: dict[str, str] = {}

    def plain(name: str, value: Any) -> Any:
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            return value
        if name in summaries:
            found[name] = f"{path.name}: {name} is a list; its first text is the summary"
            return value[0]
        if name in documents:
            found[name] = f"{path.name}: {name} is a list; its texts are joined"
            return " ".join(value)
        return value

    rows = [{name: plain(name, value) for name, value in row.items()} for row in table.rows]
    return replace(table, rows=rows), list(found.values())


def describe(path: Path) -> Sizes:
    """Lengths of the documents and summaries of a split."""
    examples = read_examples(path)
    said = [
        length_line("words of a document", [len(text.split()) for text in examples.documents]),
        length_line("words of a summary", [len(text.split()) for text in examples.summaries]),
    ]
    return Sizes(
        rows=len(examples),
        lengths=np.array([tokens(text) for text in examples.documents]),
        said=said,
        targets=np.array([tokens(text) for text in examples.summaries]),
        vocabulary=vocabulary_size(chain(examples.documents, examples.summaries)),
    )


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Training of a T5.

    A new one copies from its source in the beginning, and so does well to go on from there: filling
    gaps first, it would learn frequent words instead. Greedily it repeats itself. It is decoded as
    T5 was for summaries (Raffel et al. 2020, 1910.10683); a checkpoint has settings of its own.
    """
    train = sizes["train"]
    read = row_length(train.lengths + 4, most=256 if start is None else 512)
    written = row_length(train.targets, most=64 if start is None else 128)
    task = {
        "source_prefix": "summarize: ",
        "max_source_length": read,
        "max_target_length": written,
        "predict_with_generate": True,
        "learning_rate": 2e-3 if start is None else 3e-4,
        "weight_decay": 0.01,
        **schedule(
            train.rows,
            batch=16,
            epochs=5 if start is None else 3,
            length=mean_length(train.lengths, read) + mean_length(train.targets, written),
            start=start,
        ),
        "load_best_model_at_end": True,
    }
    gates = {"test_rouge1": dict(BEATS)}
    if start is not None:
        return Plan(task, gates)
    task |= {"adam_beta2": 0.98, "num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
    return Plan(task, gates, new_t5(train, ["document", "summary"]))
