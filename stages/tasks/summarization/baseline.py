"""What the beginning of a document reaches as its summary."""

from stages.tasks.summarization.examples import Examples, read_examples
from stages.tasks.summarization.metric import sentences, summary_metrics


def measure(folder: str) -> dict[str, dict[str, float]]:
    """`baselines` of a folder in the task's standard form."""
    train, test = (read_examples(f"{folder}/{split}.json") for split in ("train", "test"))
    return baselines(train, test)


def baselines(train: Examples, held_out: Examples) -> dict[str, dict[str, float]]:
    """The metrics of simple methods on `held_out`, under the model's metric names.

    `lead` takes the first sentence; `lead_words` the first words, as many as a training summary
    has on average: ROUGE depends on the length.
    """
    count = round(sum(len(summary.split()) for summary in train.summaries) / len(train))
    return {
        "lead": _score([sentences(text)[0] for text in held_out.documents], held_out),
        "lead_words": _score(
            [" ".join(text.split()[:count]) for text in held_out.documents], held_out
        ),
    }


def _score(predictions: list[str], examples: Examples) -> dict[str, float]:
    return summary_metrics(predictions, examples.summaries, examples.documents)
