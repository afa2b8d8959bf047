"""Speech recognition from clips to transcripts and metrics."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.views import Mapped
from stages.tasks.seq2seq import Generate, mean_loss
from stages.tasks.speech.rows import Rows
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.results import prefixed


def batch_rows(rows: Rows, rows_per_device: int, max_length: int, **options) -> Batches:
    """Batches of clips with transcripts of about the same length.

    Args:
        rows: what `select_rows` gives.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
        max_length: label tokens of a row.
    """
    return make_batches(
        rows.columns,
        rows_per_device,
        padding={"labels": IGNORE_INDEX},
        max_length=max_length,
        by="labels",
        **options,
    )


def evaluate(
    eval_step: Callable,
    model,
    generate: Generate | None,
    rows: Rows,
    batches: Batches,
    split: str,
    *,
    normalisation: str,
    spelling: dict[str, str] | None,
) -> Evaluation:
    """Loss of the transcripts that are known, and error rates of those that are generated.

    Args:
        eval_step: of `stages.tasks.seq2seq.score_targets`.
        model: holds the weights.
        generate: None to generate nothing.
        rows, batches: what is evaluated.
        split: `eval` or `test`, the prefix of the metrics.
        normalisation, spelling: as in `stages.tasks.speech.metric.WordErrors`.
    """
    known = rows.examples.texts is not None
    metrics, predictions = {}, None
    if known:
        metrics["loss"] = mean_loss(eval_step, model, batches)
    if generate is not None:
        transcripts = Mapped(generate(batches)[1], str.strip, "stripped")
        if known:
            # Imported here, so that the start need not wait for `evaluate`.
            from stages.tasks.speech.metric import WordErrors

            metric = WordErrors(normalisation, spelling)
            metrics |= metric.compute(predictions=transcripts, references=rows.texts())
        predictions = partial(prediction_rows, rows, transcripts)
    metrics |= {"samples": len(rows.kept), "refused_samples": len(rows.refused)}
    return Evaluation(prefixed(split, metrics), predictions)


def prediction_rows(rows: Rows, predictions: Iterable[str]) -> Iterator[dict]:
    """The predictions file: the clip, its transcript if known, the prediction."""
    examples = rows.examples
    found = iter(predictions)
    for row, name in enumerate(examples.names):
        line = {"path": name}
        if examples.texts is not None:
            line["text"] = examples.texts[row]
        line["prediction"] = None if row in rows.refused else next(found)
        if row in rows.refused:
            line["refused"] = rows.refused[row]
        yield line
