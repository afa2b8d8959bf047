"""The evaluation of language models, each of which scores tokens in another kind of rows."""

import json
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.core.files import refusing_full_disk, scratch_file
from stages.data.batching import IGNORE_INDEX, Batch, Batches
from stages.tasks.text.documents import language_metrics
from stages.training.best import Evaluation
from stages.training.loop import run_batches
from stages.training.losses import label_losses


class WorstTokens(NamedTuple):
    """The label of each row with the highest loss; arrays [rows].

    column: int; its place among the row's labels.
    loss: float32, in nats; negative in a row without labels.
    prediction: int; the likeliest token there.
    """

    column: jax.Array
    loss: jax.Array
    prediction: jax.Array


class WorstToken(NamedTuple):
    """That of one row: its loss, and the tokens to show by the names to show them under."""

    loss: float
    tokens: dict[str, list[int]]


class WorstTokenFile:
    """The worst token of each row, put in any order and read in that of the rows.

    They lie in a file without a name: of many rows the tokens around are more than memory holds.
    """

    def __init__(self, rows: int):
        self._file = scratch_file()
        self._places = np.full(rows, -1, np.int64)
        weakref.finalize(self, self._file.close)

    def put(self, row: int, token: WorstToken) -> None:
        """Keep that of a row."""
        self._places[row] = self._file.tell()
        with refusing_full_disk():
            self._file.write(json.dumps(token).encode() + b"\n")

    def __iter__(self) -> Iterator[WorstToken]:
        for place in self._places[self._places >= 0].tolist():
            self._file.seek(place)
            yield WorstToken(*json.loads(self._file.readline()))


# (arrays of a batch, row, column of the label) -> tokens to show by the names to show them under.
Context = Callable[[dict[str, np.ndarray], int, int], dict[str, list[int]]]


def token_scores(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array | WorstTokens]:
    """The output of an evaluation step for `evaluate_language`.

    Args:
        logits: float32 [rows, labels, vocabulary].
        labels: int32 [rows, labels]; `IGNORE_INDEX` where nothing is scored.

    Returns:
        Scalars `loss` (sum, in nats), `count` of scored tokens and `hits` among them; and `worst`,
        `WorstTokens`.
    """
    losses, scored = label_losses(logits, labels)
    predictions = jnp.argmax(logits, axis=-1)
    masked_losses = jnp.where(scored, losses, -1.0)
    column = jnp.argmax(masked_losses, axis=-1)

    def at_column(values):
        return jnp.take_along_axis(values, column[:, None], axis=-1)[:, 0]

    return {
        "loss": jnp.sum(jnp.where(scored, losses, 0.0)),
        "count": jnp.sum(scored.astype(jnp.float32)),
        "hits": jnp.sum(predictions == labels),
        "worst": WorstTokens(column, at_column(masked_losses), at_column(predictions)),
    }


def evaluate_language(
    eval_step: Callable,
    model: nnx.Module,
    batches: Batches,
    tokenizer,
    byte_counts: np.ndarray,
    context: Context,
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> Evaluation:
    """The metrics of `language_metrics`, the number of rows, and the worst token of each row.

    Args:
        eval_step: gives what `token_scores` does. Further scalars `X_hits` and `X_count` give
            `eval_X_accuracy`.
        model: holds the weights.
        batches: rows; `labels` in the batches that `prepare` makes of them.
        tokenizer: decodes the tokens that are shown.
        byte_counts: int64 [vocabulary], from `stages.tasks.text.documents.token_bytes`.
        context: gives the tokens to show with a label.
        prepare: changes each batch, in the thread that makes them.
    """
    totals = {"bytes": 0.0}
    rows = len(batches.lengths)
    worst = WorstTokenFile(rows)
    prepared: deque[dict[str, np.ndarray]] = deque()

    def prepare_and_count(batch: Batch) -> Batch:
        batch = prepare(batch)
        labels = batch.arrays["labels"]
        totals["bytes"] += float(byte_counts[labels[labels != IGNORE_INDEX]].sum())
        prepared.append(batch.arrays)
        return batch

    for indices, sums in run_batches(eval_step, model, batches, prepare_and_count):
        arrays, found = prepared.popleft(), sums.pop("worst")
        for row, (index, column, loss, prediction) in enumerate(zip(indices, *found, strict=True)):
            if index >= 0 and loss >= 0:
                tokens = {
                    **context(arrays, row, column),
                    "label": [int(arrays["labels"][row, column])],
                    "prediction": [int(prediction)],
                }
                worst.put(index, WorstToken(float(loss), tokens))
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    metrics = language_metrics(totals["loss"], totals["count"], totals["hits"], totals["bytes"])
    metrics["eval_samples"] = rows
    for name in totals:
        if name.endswith("_hits"):
            kind = name.removesuffix("_hits")
            metrics[f"eval_{kind}_accuracy"] = totals[name] / totals[f"{kind}_count"]
    return Evaluation(metrics, partial(worst_token_rows, tokenizer, worst))


def worst_token_rows(tokenizer, worst: WorstTokenFile) -> Iterator[dict]:
    """The predictions file: one object a row with labels, in the order of the file.

    It has the texts of the tokens, and the `loss` in nats.
    """
    for token in worst:
        yield {
            **{name: tokenizer.decode(ids) for name, ids in token.tokens.items()},
            "loss": round(token.loss, 4),
        }
