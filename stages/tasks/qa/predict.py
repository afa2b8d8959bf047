"""Question answering from windows to answers and metrics."""

from collections.abc import Callable

from stages.data.batching import IGNORE_INDEX, Batches
from stages.tasks.outputs import row_outputs
from stages.tasks.qa.answers import Answers, find_answers
from stages.tasks.qa.examples import Examples
from stages.tasks.qa.windows import Windows
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.results import prefixed


def batch_windows(
    windows: Windows, tokenizer, max_length: int, rows_per_device: int, **options
) -> Batches:
    """Batches of windows.

    Args:
        windows: what `tokenize` gives.
        tokenizer: the one that made them.
        max_length: tokens of a window.
        rows_per_device, options: as in `stages.training.batches.make_batches`.
    """
    padding = {
        "input_ids": tokenizer.pad_token_id,
        "start_positions": IGNORE_INDEX,
        "end_positions": IGNORE_INDEX,
    }
    return make_batches(
        windows.columns, rows_per_device, padding=padding, max_length=max_length, **options
    )


def predict(
    eval_step: Callable, model, batches: Batches, windows: Windows, examples: Examples, **options
) -> Answers:
    """The answer to each question, from all its windows.

    Args:
        eval_step: of `stages.tasks.qa.loss.score`.
        model, batches, windows, examples: what is predicted.
        options: as in `find_answers`.
    """
    rows, _ = row_outputs(eval_step, model, batches)
    return find_answers(examples, windows, rows["start"], rows["end"], **options)


def evaluate(answers: Answers, examples: Examples, null_threshold: float) -> Evaluation:
    """Exact match and F1, and the answers.

    Args:
        answers: to all questions.
        examples: the questions with their gold answers.
        null_threshold: `null_score_diff_threshold`, of SQuAD v2.
    """
    # Imported here, so that the start need not wait for `evaluate`.
    from stages.tasks.qa.metric import Squad, SquadV2

    metric, options = Squad(), {}
    if answers.null_odds is not None:
        metric, options = SquadV2(), {"no_answer_threshold": null_threshold}
    metrics = metric.compute(
        predictions=answers.predictions(), references=examples.references(), **options
    )
    metrics = prefixed("eval", {**metrics, "samples": len(examples)})
    return Evaluation(metrics, answers.files)
