"""Text classification from rows to predictions and metrics."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, encode_columns, token_columns
from stages.data.writer import Writer
from stages.tasks.glue.examples import Examples
from stages.tasks.odds import softmax
from stages.tasks.outputs import row_outputs
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.results import prefixed


def batch_examples(
    examples: Examples,
    labels: np.ndarray | None,
    encoder: Encoder,
    max_length: int,
    rows_per_device: int,
    cache: RowCache = UNCACHED,
    **options,
) -> Batches:
    """Batches of one sentence or two a row, the longer one truncated where they do not fit.

    Args:
        examples: the rows.
        labels: what `encode_labels` gives; None for rows to predict.
        encoder: of the model's tokenizer.
        max_length: tokens of a row.
        cache: keeps the tokens.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
    """
    inputs = {
        "rows": examples.store.fingerprint,
        "tokenizer": encoder.fingerprint,
        "max_length": max_length,
    }

    def build(writer: Writer) -> None:
        make = partial(encode_columns, truncation="longest_first", max_length=max_length)
        for columns in encoder.encode_all(examples.texts(), len(examples), make):
            writer.write(columns)

    columns = token_columns(cache.get("glue-tokens", inputs, build))
    unknown = np.float32(0) if examples.regression else np.int32(IGNORE_INDEX)
    columns["labels"] = np.full(len(examples), unknown) if labels is None else labels
    padding = {"input_ids": encoder.tokenizer.pad_token_id, "labels": unknown}
    return make_batches(columns, rows_per_device, padding=padding, max_length=max_length, **options)


def predict(eval_step: Callable, model, batches: Batches) -> tuple[np.ndarray, float]:
    """Logits float32 [rows, classes] in the order of the file, and the mean loss."""
    rows, sums = row_outputs(eval_step, model, batches)
    return np.stack(rows["logits"]), sums["loss"] / max(sums["count"], 1.0)


def evaluate(
    eval_step: Callable,
    model,
    batches: Batches,
    examples: Examples,
    labels: np.ndarray,
    names: list[str],
    *,
    task_name: str | None = None,
) -> Evaluation:
    """The metrics of the GLUE task, or accuracy or mean squared error, and the predictions.

    Args:
        eval_step: of `score_classes` or `score_regression`.
        model, batches, examples, labels: as in `batch_examples`.
        names: of the classes.
        task_name: of the GLUE benchmark.
    """
    # Imported here, so that the start need not wait for `evaluate`.
    from stages.tasks.glue.metric import REGRESSION, Glue, accuracy_by_group, positive_class

    logits, mean_loss = predict(eval_step, model, batches)
    if examples.regression:
        kind = task_name or REGRESSION
        metrics = Glue(kind).compute(predictions=logits[:, 0], references=labels)
    else:
        predictions = logits.argmax(axis=-1)
        metric = Glue(task_name) if task_name else Glue()
        positive = {"positive": positive_class(names)} if task_name in ("mrpc", "qqp") else {}
        metrics = metric.compute(predictions=predictions, references=labels, **positive)
        if examples.groups is not None:
            metrics |= accuracy_by_group(predictions, labels, examples.groups)
    metrics |= {"loss": mean_loss, "samples": len(labels)}
    return Evaluation(prefixed("eval", metrics), partial(prediction_rows, logits, examples, names))


def prediction_rows(logits: np.ndarray, examples: Examples, names: list[str]) -> Iterator[dict]:
    """The predictions file: sentences, label if known, predicted class and its probability."""
    for index, row_logits in enumerate(logits):
        scores = row_logits.astype(np.float64)
        row = {"sentence1": examples.sentence1[index]}
        if examples.sentence2 is not None:
            row["sentence2"] = examples.sentence2[index]
        if examples.labels is not None:
            row["label"] = examples.labels[index]
        if examples.regression:
            row["prediction"] = float(scores[0])
        else:
            row["prediction"] = names[int(scores.argmax())]
            row["probability"] = max(softmax(scores.tolist()))
        yield row
