"""Rows of each task in shards, many more than in `toy_data`, drawn from its words."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.data.writer import in_chunks
from support.toy_data import TEXT

# Of the script of each task, for streams of these rows; the columns have their usual names.
FLAGS = {
    "glue": ("--max_seq_length=64",),
    "ner": ("--max_seq_length=64",),
    "qa": ("--max_seq_length=64", "--doc_stride=4", "--version_2_with_negative"),
    "summarization": ("--max_source_length=64", "--max_target_length=24"),
    "clm": ("--block_size=16",),
    "mlm": ("--max_seq_length=32",),
    "t5_mlm": ("--max_seq_length=32",),
}
FAMILIES = {"clm": "gpt2", "t5_mlm": "t5", "summarization": "t5"}


def rows_of(task: str, count: int, seed: int = 0) -> Iterator[dict]:
    """So many rows for a task, of 1 to 20 words each."""
    rng = np.random.default_rng(seed)
    words = TEXT.split()

    def text(most: int = 20) -> str:
        return " ".join(rng.choice(words, rng.integers(1, most + 1)))

    for number in range(count):
        if task == "glue":
            yield {"sentence": text(), "label": str(rng.choice(["other", "same"]))}
        elif task == "ner":
            tokens = text().split()
            tags = rng.choice(["O", "B-PER", "I-PER", "B-LOC"], len(tokens)).tolist()
            yield {"tokens": tokens, "ner_tags": tags}
        elif task == "qa":
            context = text()
            answer = context.split()[-1]
            answers = {"text": [answer], "answer_start": [len(context) - len(answer)]}
            yield {"id": str(number), "question": text(4), "context": context, "answers": answers}
        elif task == "summarization":
            yield {"document": text(), "summary": text(6)}
        else:
            yield {"text": text()}


def write_shards(
    folder: Path, rows: Iterator[dict], per_shard: int, kind: str = ".jsonl", schema=None
) -> Path:
    """Write shards of `per_shard` rows into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, chunk in enumerate(in_chunks(rows, per_shard)):
        path = folder / f"part-{number:03d}{kind}"
        if kind == ".parquet":
            # Several row groups in each.
            table = pa.Table.from_pylist(chunk, schema=schema)
            pq.write_table(table, path, row_group_size=max(1, per_shard // 3))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in chunk), encoding="utf-8")
    return folder
