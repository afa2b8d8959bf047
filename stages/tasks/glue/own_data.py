"""Text classification on a user's files, see `stages.tasks.own_data`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.core.errors import InputError, quoted
from stages.data.columns import listed_columns
from stages.data.tables import TABLES
from stages.tasks.glue.columns import GROUP, LABEL, PAIR, SENTENCE
from stages.tasks.glue.convert import Source
from stages.tasks.glue.examples import read_examples
from stages.tasks.glue.labels import label_list
from stages.tasks.own_data import (
    BEATS,
    First,
    Items,
    Plan,
    Sizes,
    class_line,
    left_out,
    length_line,
    read_own_table,
    tokens,
    vocabulary_size,
)
from stages.tasks.own_training import (
    MLM_LENGTH,
    STEPS_BEFORE,
    best_by,
    encoder_plan,
    hidden_words,
    mean_length,
    row_length,
    schedule,
)

ENDINGS, SEVERAL = TABLES, False
MODEL = "bert"


def read(paths: list[Path], source: Source) -> Items:
    """The rows of a table; those that share a sentence stay together.

    Raises:
        InputError: what `read_examples` refuses; labels of which nearly every row has its own.
    """
    (path,) = paths
    table, said = read_own_table(path)
    for line in said:  # what refuses the columns below names them so
        print(line)
    examples = read_examples(
        table,
        text_column=source.text_column_name,
        text_pair_column=source.text_pair_column_name,
        label_column=source.label_column_name,
        group_column=source.group_column_name,
    )
    chosen = examples.columns
    if not examples.regression and 2 * len(examples.labels.names) > len(examples) > 20:
        raise InputError(
            f"{path}: {quoted(chosen[LABEL.name])} has {len(examples.labels.names)} different "
            f"values in {len(examples)} rows, and so is no class; give --{LABEL.flag}"
        )
    roles = (SENTENCE, PAIR, LABEL, GROUP)
    text, rows = chosen[SENTENCE.name], list(table.rows)
    if examples.sentence2 is not None:
        text = "text"
        while text in table.columns:
            text += "_"
        # Two paragraphs of a document: what one hides can be found in the other.
        rows = [
            {**row, text: "\n".join(pair)} for row, pair in zip(rows, examples.texts(), strict=True)
        ]
    return Items(
        rows=rows,
        text=text,
        shared=[text if isinstance(text, tuple) else (text,) for text in examples.texts()],
        data={role.flag: chosen[role.name] for role in roles if role.name in chosen},
        task={GROUP.flag: chosen[GROUP.name]} if GROUP.name in chosen else {},
        said=[f"columns: {listed_columns(chosen)}", *left_out(table, chosen.values())],
    )


def describe(path: Path) -> Sizes:
    """Lengths and labels of the rows of a split."""
    examples = read_examples(path)
    lengths = np.array([_tokens(text) for text in examples.texts()])
    said = [length_line("words of a first sentence", [len(s.split()) for s in examples.sentence1])]
    if examples.sentence2 is not None:
        words = [len(text.split()) for text in examples.sentence2]
        said.append(length_line("words of a second sentence", words))
    labels = []
    if examples.regression:
        said.append(
            f"label: numbers from {examples.labels.min():g} to {examples.labels.max():g}, mean "
            f"{examples.labels.mean():.3g}"
        )
    else:
        labels = label_list(examples.labels.names)
        said.append(class_line("label", Counter(examples.labels)))
    texts = (
        part for text in examples.texts() for part in (text if isinstance(text, tuple) else (text,))
    )
    return Sizes(
        rows=len(examples),
        lengths=lengths,
        said=said,
        vocabulary=vocabulary_size(texts),
        labels=labels,
        facts={"regression": examples.regression, "pairs": examples.sentence2 is not None},
    )


def _tokens(text: str | tuple[str, str]) -> int:
    parts = text if isinstance(text, tuple) else (text,)
    return 1 + sum(tokens(part) + 1 for part in parts)


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Fine-tuning of an encoder; a new one fills gaps in the sentences first.

    In a pair it finds what one sentence hides in the other, and so learns to compare them, which
    few labels teach.
    """
    train = sizes["train"]
    columns = ["sentence1", "sentence2"] if train.facts["pairs"] else ["sentence1"]
    longest = row_length(train.lengths, most=256)
    shared, tokenizer = encoder_plan(train, start, columns, max(longest, MLM_LENGTH))
    metric = "mse" if train.facts["regression"] else "accuracy"
    task = {
        "max_seq_length": longest,
        **shared,
        **schedule(
            train.rows,
            batch=16,
            epochs=6,
            length=mean_length(train.lengths, longest),
            start=start,
        ),
        **best_by(metric),
    }
    first = None
    if start is None:
        task |= {"muon": True, "learning_rate": 2e-3}
        block = hidden_words(int(train.lengths.sum()), most=STEPS_BEFORE)
        if train.facts["pairs"]:
            block["alternate_segments"] = True
        first = First("mlm", block)
    return Plan(task, {f"eval_{metric}": dict(BEATS)}, tokenizer, first)
