"""Summarization from documents to summaries and metrics."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder
from stages.tasks.seq2seq import Generate, mean_loss
from stages.tasks.summarization.examples import Examples
from stages.tasks.summarization.tokens import tokenize
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.results import prefixed


def batch_examples(
    examples: Examples,
    rows_per_device: int,
    max_target_length: int,
    *,
    encoder: Encoder,
    prefix: str,
    max_source_length: int,
    cache: RowCache = UNCACHED,
    **options,
) -> Batches:
    """Batches of documents of about the same length, with their summaries if there are any.

    Args:
        examples: the rows.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
        max_target_length, encoder, prefix, max_source_length, cache: as in `tokenize`.
    """
    columns = tokenize(
        encoder,
        examples,
        prefix=prefix,
        max_source_length=max_source_length,
        max_target_length=max_target_length,
        cache=cache,
    )
    return make_batches(
        columns,
        rows_per_device,
        padding={"input_ids": encoder.tokenizer.pad_token_id, "labels": IGNORE_INDEX},
        max_length=max_source_length,
        targets=("labels",) if "labels" in columns else (),
        max_targets=max_target_length,
        **options,
    )


def evaluate(
    eval_step: Callable,
    model,
    generate: Generate | None,
    pad_token_id: int,
    examples: Examples,
    batches: Batches,
    split: str,
) -> Evaluation:
    """Loss of the summaries that are known, ROUGE and length of those that are generated.

    Args:
        eval_step: of `stages.tasks.seq2seq.score_targets`.
        model: holds the weights.
        generate: None to generate nothing.
        pad_token_id: does not count in the length.
        examples, batches: what is evaluated.
        split: `eval` or `test`, the prefix of the metrics.
    """
    metrics, predictions = {"samples": len(examples)}, None
    if examples.summaries is not None:
        metrics["loss"] = mean_loss(eval_step, model, batches)
    if generate is not None:
        rows, texts = generate(batches)
        summaries = [text.strip() for text in texts]
        lengths = [np.count_nonzero(row != pad_token_id) for row in rows]
        metrics["gen_len"] = float(np.mean(lengths))
        if examples.summaries is not None:
            # Imported here, so that the start need not wait for `evaluate`.
            from stages.tasks.summarization.metric import summary_metrics

            metrics |= summary_metrics(summaries, examples.summaries, examples.documents)
        predictions = partial(prediction_rows, examples, summaries)
    return Evaluation(prefixed(split, metrics), predictions)


def prediction_rows(examples: Examples, predictions: list[str]) -> Iterator[dict]:
    """The predictions file: the document, its summary if known, the prediction."""
    for index, prediction in enumerate(predictions):
        row = {"document": examples.documents[index]}
        if examples.summaries is not None:
            row["summary"] = examples.summaries[index]
        yield {**row, "prediction": prediction}
