"""The evaluation that language models share: each scores tokens, in rows of its own making."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.data.batching import IGNORE_INDEX, Batch, Batches
from stages.tasks.text.documents import language_metrics
from stages.training.loop import run_batches
from stages.training.losses import label_losses


class Surprises(NamedTuple):
    """The label of each row that the model expected least; arrays [rows].

    place: int; which of the row's labels it is.
    loss: float32, in nats; negative in a row without labels.
    prediction: int; the likeliest token in its place.
    """

    place: np.ndarray
    loss: np.ndarray
    prediction: np.ndarray


class LanguageEvaluation(NamedTuple):
    """Metrics, the sums over all rows that they are made of, and where the model was worst."""

    metrics: dict[str, float]
    totals: dict[str, float]
    surprises: Surprises


def token_scores(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array | Surprises]:
    """What evaluation adds up: `loss` in nats, `count` of scored tokens, `hits` among them.

    Args:
        logits: float32 [rows, labels, vocabulary].
        labels: int32 [rows, labels]; `IGNORE_INDEX` where nothing is scored.

    Returns:
        These, scalars, and `surprises` of each row.
    """
    losses, scored = label_losses(logits, labels)
    predictions = jnp.argmax(logits, axis=-1)
    surprise = jnp.where(scored, losses, -1.0)
    place = jnp.argmax(surprise, axis=-1)

    def there(values):
        return jnp.take_along_axis(values, place[:, None], axis=-1)[:, 0]

    return {
        "loss": jnp.sum(jnp.where(scored, losses, 0.0)),
        "count": jnp.sum(scored.astype(jnp.float32)),
        "hits": jnp.sum(predictions == labels),
        "surprises": Surprises(place, there(surprise), there(predictions)),
    }


def evaluate_language(
    eval_step: Callable,
    model: nnx.Module,
    batches: Batches,
    token_bytes: np.ndarray,
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> LanguageEvaluation:
    """The metrics of `language_metrics`, with `eval_samples`, the number of rows.

    Args:
        eval_step: gives what `token_scores` does; further scalars are summed as well.
        model: holds the weights.
        batches: rows; `labels` in what `prepare` makes of them.
        token_bytes: int64 [vocabulary], from `stages.tasks.text.documents.piece_bytes`.
        prepare: last touch to a batch, in the thread that makes them.

    Returns:
        With the `bytes` that were scored among the sums.
    """
    totals = {"bytes": 0.0}
    rows = len(batches.lengths)
    surprises = Surprises(np.zeros(rows, int), np.zeros(rows, np.float32), np.zeros(rows, int))

    def count_bytes(batch: Batch) -> Batch:
        batch = prepare(batch)
        labels = batch.arrays["labels"]
        totals["bytes"] += float(token_bytes[labels[labels != IGNORE_INDEX]].sum())
        return batch

    for indices, sums in run_batches(eval_step, model, batches, count_bytes):
        real = indices >= 0
        for whole, part in zip(surprises, sums.pop("surprises"), strict=True):
            whole[indices[real]] = part[real]
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    metrics = language_metrics(totals["loss"], totals["count"], totals["hits"], totals["bytes"])
    return LanguageEvaluation({**metrics, "eval_samples": rows}, totals, surprises)


def surprise_rows(
    tokenizer,
    batches: Batches,
    surprises: Surprises,
    describe: Callable[[dict[str, np.ndarray], int, int], dict[str, list[int]]],
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> list[dict]:
    """What goes into the predictions file: the label of each row that was expected least.

    Args:
        tokenizer: turns tokens into text.
        batches: the rows that were evaluated.
        surprises: what `evaluate_language` gave of them.
        describe: gets a batch's arrays, a row of it and the label's place in it; gives the tokens
            to show by the names to show them under.
        prepare: as in `evaluate_language`.

    Returns:
        One object a row that has labels: the texts, `label`, `prediction`, and its `loss` in nats.
    """
    rows: list[tuple[int, dict]] = []
    for batch in map(prepare, batches.evaluation()):
        for position, index in enumerate(batch.indices):
            if index < 0 or surprises.loss[index] < 0:
                continue
            place = int(surprises.place[index])
            tokens = {
                **describe(batch.arrays, position, place),
                "label": [int(batch.arrays["labels"][position, place])],
                "prediction": [int(surprises.prediction[index])],
            }
            texts = {name: tokenizer.decode(ids) for name, ids in tokens.items()}
            rows.append((index, {**texts, "loss": round(float(surprises.loss[index]), 4)}))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]
