"""Questions and answers in a user's files, see `stages.tasks.own_data`."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from stages.data.tables import JSON, Table, read_json
from stages.tasks.own_data import BEATS, Items, Plan, Sizes, length_line, tokens, vocabulary_size
from stages.tasks.own_training import best_by, encoder_plan, mean_length, schedule
from stages.tasks.qa.convert import Source
from stages.tasks.qa.examples import read_examples

ENDINGS, SEVERAL = JSON, False
MODEL = "bert"


def read(paths: list[Path], source: Source) -> Items:
    """The questions of a SQuAD file, flat; those of an article, or of a context, stay together."""
    (path,) = paths
    table = read_json(path)
    examples = read_examples(path, version_2_with_negative=True)
    columns = zip(examples.questions, examples.contexts, examples.references(), strict=True)
    rows = [
        {"id": one["id"], "question": question, "context": context, "answers": one["answers"]}
        for question, context, one in columns
    ]
    articles = list(_articles(table))
    known = len({*articles} - {None})
    return Items(
        rows=rows,
        shared=[
            (row["context"],) if article is None else (row["context"], ("article", article))
            for row, article in zip(rows, articles, strict=True)
        ],
        said=[f"{known} articles" if known else "no titles of articles: grouped by context"],
    )


def _articles(table: Table) -> Iterator[str | int | None]:
    """The article of each question, in the order of `read_examples`; None where it is not known."""
    for number, row in enumerate(table.rows):
        if "paragraphs" in table.columns:
            for paragraph in row["paragraphs"]:
                yield from (number for _ in paragraph["qas"])
        else:
            yield row.get("title")


def describe(path: Path) -> Sizes:
    """Lengths and answers of the questions of a split."""
    examples = read_examples(path, version_2_with_negative=True)
    lengths = np.array(
        [
            3 + tokens(question) + tokens(context)
            for question, context in zip(examples.questions, examples.contexts, strict=True)
        ]
    )
    answers = [text for texts in examples.answers for text in texts]
    unanswered = sum(not texts for texts in examples.answers)
    said = [
        length_line("words of a question", [len(text.split()) for text in examples.questions]),
        length_line("words of a context", [len(text.split()) for text in examples.contexts]),
        f"questions without an answer: {unanswered} ({unanswered / len(examples):.1%})",
    ]
    return Sizes(
        rows=len(examples),
        lengths=lengths,
        said=said,
        targets=np.array([tokens(text) for text in answers] or [1]),
        vocabulary=vocabulary_size(chain(examples.questions, {*examples.contexts})),
        facts={"negative": unanswered > 0},
    )


def plan(sizes: Mapping[str, Sizes], start: str | None) -> Plan:
    """Fine-tuning of an encoder, on windows of long contexts."""
    train = sizes["train"]
    length = 256 if start is None else 384
    shared, tokenizer = encoder_plan(train, start, ["question", "context"], length)
    task = {
        "version_2_with_negative": any(one.facts["negative"] for one in sizes.values()),
        "max_seq_length": length,
        "doc_stride": length // 4,
        "max_answer_length": int(min(64, max(8, np.percentile(train.targets, 99)))),
        **shared,
        **schedule(
            train.rows,
            batch=16,
            epochs=5 if start is None else 2,
            length=mean_length(train.lengths, length),
            start=start,
        ),
        **best_by("f1"),
    }
    return Plan(task, {"eval_f1": dict(BEATS)}, tokenizer)
