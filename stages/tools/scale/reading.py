"""Read and tokenise a file of pairs, ours or as `datasets` does it, and print the seconds.

    python -m stages.tools.scale.reading flaxmill train.csv TOKENIZER
    python -m stages.tools.scale.reading datasets train.csv TOKENIZER

Imports and the loading of the tokenizer are not counted. Caches should be empty.
"""

import json
import os
import sys
import time

LENGTH = 128


def ours(path: str, folder: str) -> tuple[int, float]:
    """Rows and seconds of `run_flax_glue`: rows and tokens, both kept in the cache."""
    from stages.core.files import user_cache
    from stages.data.cache import RowCache
    from stages.data.encode import Encoder
    from stages.models.tokenizers import load_tokenizer
    from stages.tasks.glue.examples import read_examples
    from stages.tasks.glue.predict import batch_examples

    encoder = Encoder(load_tokenizer(folder))
    cache = RowCache(user_cache())
    begin = time.perf_counter()
    examples = read_examples(path, cache=cache)
    batch_examples(examples, None, encoder, LENGTH, 8, cache, buckets=1)
    return len(examples), time.perf_counter() - begin


def theirs(path: str, folder: str) -> tuple[int, float]:
    """Rows and seconds of `load_dataset` and `Dataset.map`, with a process a core."""
    import datasets
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(rows: dict) -> dict:
        return tokenizer(rows["sentence1"], rows["sentence2"], truncation=True, max_length=LENGTH)

    cores = len(os.sched_getaffinity(0))
    begin = time.perf_counter()
    rows = datasets.load_dataset("csv", data_files=path, split="train")
    rows = rows.map(encode, batched=True, num_proc=cores)
    return len(rows), time.perf_counter() - begin


def main() -> None:
    """Print rows and seconds as JSON."""
    side, path, folder = sys.argv[1:]
    rows, seconds = {"flaxmill": ours, "datasets": theirs}[side](path, folder)
    print(json.dumps({"rows": rows, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
