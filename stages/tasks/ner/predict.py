"""Named-entity recognition from windows to predictions and metrics."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.views import Constant
from stages.tasks.ner.examples import Examples
from stages.tasks.ner.windows import MergedTags, Windows
from stages.tasks.outputs import row_outputs
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.results import prefixed


def batch_windows(
    windows: Windows, tokenizer, max_length: int, rows_per_device: int, **options
) -> Batches:
    """Batches of windows; without labels no position counts in the loss.

    Args:
        windows: what `tokenize` gives.
        tokenizer: the one that made them.
        max_length: tokens of a window.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
    """
    columns = dict(windows.columns)
    if "labels" not in columns:
        lengths = columns["input_ids"].lengths
        columns["labels"] = Constant(IGNORE_INDEX, lengths)
    padding = {"input_ids": tokenizer.pad_token_id, "labels": IGNORE_INDEX}
    return make_batches(columns, rows_per_device, padding=padding, max_length=max_length, **options)


def predict(
    eval_step: Callable, model, batches: Batches, windows: Windows, names: list[str]
) -> tuple[MergedTags, float]:
    """A tag for each word of each sentence, and the mean loss of the labelled tokens."""
    rows, sums = row_outputs(eval_step, model, batches)
    tags = MergedTags(windows, rows["tags"], names)
    return tags, sums["loss"] / max(sums["count"], 1.0)


def evaluate(
    eval_step: Callable,
    model,
    batches: Batches,
    windows: Windows,
    examples: Examples,
    names: list[str],
    *,
    by_type: bool,
) -> Evaluation:
    """Precision, recall and F1 of entities, accuracy of words, and the predictions.

    Args:
        eval_step: of `stages.tasks.ner.loss.score`.
        model, batches, windows, examples: what is evaluated; each sentence has tags.
        names: of the tags.
        by_type: report each type of entity too.
    """
    # Imported here, so that the start need not wait for `evaluate`.
    from stages.tasks.ner.metric import NamedEntities

    tags, mean_loss = predict(eval_step, model, batches, windows, names)
    metrics = NamedEntities().compute(predictions=tags, references=examples.tags, by_type=by_type)
    metrics |= {"loss": mean_loss, "samples": len(examples)}
    return Evaluation(prefixed("eval", metrics), partial(prediction_rows, tags, examples))


def prediction_rows(predictions: Sequence[list[str]], examples: Examples) -> Iterator[dict]:
    """The predictions file: words, predicted tags, and the true ones if known."""
    for index, tags in enumerate(predictions):
        row = {"tokens": examples.tokens[index], "predictions": tags}
        if examples.tags is not None:
            row["ner_tags"] = examples.tags[index]
        yield row
