"""Named entities in a user's files, see `stages.tasks.own_data`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.data.columns import listed_columns
from stages.data.tables import JSON
from stages.tasks.ner.convert import Source
from stages.tasks.ner.examples import read_examples
from stages.tasks.ner.tags import OUTSIDE, label_list
from stages.tasks.own_data import (
    BEATS,
    First,
    Items,
    Plan,
    Sizes,
    class_line,
    length_line,
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

ENDINGS, SEVERAL = (*JSON, ".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt"), False
MODEL = "bert"


def read(paths: list[Path], source: Source) -> Items:
    """The sentences of a file, in the task's standard form."""
    (path,) = paths
    examples = read_examples(
        path, text_column=source.text_column_name, label_column=source.label_column_name
    )
    pairs = zip(examples.tokens, examples.tags, strict=True)
    return Items(
        rows=[
            {"tokens": words, "ner_tags": tags, "text": " ".join(words)} for words, tags in pairs
        ],
        shared=[(" ".join(words),) for words in examples.tokens],
        text="text",
        said=[f"columns: {listed_columns(examples.columns)}"],
    )


def describe(path: Path) -> Sizes:
    """Lengths and entities of the sentences of a split."""
    examples = read_examples(path)
    lengths = np.array([2 + sum(map(tokens, words)) for words in examples.tokens])
    begun = Counter(
        tag.partition("-")[2] for tags in examples.tags for tag in tags if tag[0] in "BS"
    )
    said = [length_line("words of a sentence", list(map(len, examples.tokens)))]
    without = sum(set(tags) == {OUTSIDE} for tags in examples.tags)
    said.append(
        f"{class_line('entities', begun) if begun else 'no entities'}; {without} sentences "
        "without any"
    )
    return Sizes(
        rows=len(examples),
        lengths=lengths,
        said=said,
        vocabulary=vocabulary_size(map(" ".join, examples.tokens)),
        labels=label_list(examples.tags),
    )


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Fine-tuning of an encoder; a new one fills gaps in the sentences first.

    Few words of a sentence are named: from their tags alone a new model learns little of the rest,
    and rarely dares to tag one. A label for each piece weighs names more, as they have most pieces.
    """
    train = sizes["train"]
    longest = row_length(train.lengths, most=256)
    shared, tokenizer = encoder_plan(train, start, ["tokens"], max(longest, MLM_LENGTH))
    task = {
        "max_seq_length": longest,
        "return_entity_level_metrics": True,
        **shared,
        **schedule(
            train.rows,
            batch=16,
            epochs=10 if start is None else 3,
            length=mean_length(train.lengths, longest),
            start=start,
        ),
        **best_by("f1"),
    }
    first = None
    if start is None:
        task |= {"label_all_tokens": True, "muon": True, "learning_rate": 2e-3}
        first = First("mlm", hidden_words(int(train.lengths.sum()), most=STEPS_BEFORE))
    return Plan(task, {"eval_f1": dict(BEATS)}, tokenizer, first)
