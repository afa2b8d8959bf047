"""What simple methods reach on a classification task."""

from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge, SGDClassifier

from stages.tasks.glue.examples import Examples, encode_labels, read_examples
from stages.tasks.glue.labels import label_list
from stages.tasks.glue.metric import REGRESSION, Glue, positive_class

# Words of one letter count too, unlike in the library's own default.
_WORD = r"(?u)\b\w+\b"
_MOST_WORDS = 20_000


def measure(folder: str, *, task_name: str | None = None) -> dict[str, dict[str, float]]:
    """`baselines` of a folder in the task's standard form."""
    train = read_examples(f"{folder}/train.csv", task_name=task_name)
    # Whole numbers alone would be classes.
    test = read_examples(f"{folder}/test.csv", task_name=task_name, regression=train.regression)
    if train.regression:
        return baselines(train, test, [], task_name)
    # A model may know classes that no training row has.
    names = label_list([*train.labels.names, *test.labels.names])
    return baselines(train, test, names, task_name, positive_class(names))


def baselines(
    train: Examples,
    held_out: Examples,
    names: list[str],
    task_name: str | None = None,
    positive: int = 1,
) -> dict[str, dict[str, float]]:
    """The metrics of two simple methods on `held_out`, under the model's metric names.

    `majority` always gives the most frequent training class (in a regression the mean);
    `bag_of_words` is a logistic regression (a ridge regression) on the words of each sentence,
    the words that both share, and how many those are.

    Args:
        train, held_out: rows with labels.
        names: the classes, as in `encode_labels`.
        task_name, positive: as for `Glue`.
    """
    expected = encode_labels(train, names)
    references = encode_labels(held_out, names)
    metric = Glue(task_name or (REGRESSION if train.regression else None))
    if train.regression:
        usual = expected.mean()
        model = Ridge()
    else:
        usual = np.bincount(expected).argmax()
        # A hundred thousand rows in seconds; solvers that go on to the optimum take a minute and
        # score no better.
        model = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0)
    majority = np.full(len(references), usual)
    predictions = majority
    if len(np.unique(expected)) > 1:
        features = _Features(train)
        predictions = model.fit(features(train), expected).predict(features(held_out))
    options = {} if train.regression else {"positive": positive}
    return {
        name: metric.compute(predictions=found, references=references, **options)
        for name, found in (("majority", majority), ("bag_of_words", predictions))
    }


class _Features:
    """Sparse features of rows, over the words of the training rows."""

    def __init__(self, train: Examples):
        texts = chain(train.sentence1, train.sentence2 or ())
        self.words = CountVectorizer(binary=True, token_pattern=_WORD, max_features=_MOST_WORDS)
        self.words.fit(texts)

    def __call__(self, examples: Examples) -> csr_matrix:
        """Float64 [rows, words] for single sentences, [rows, 3 x words + 2] for pairs."""
        first = self.words.transform(examples.sentence1).astype(np.float64)
        if examples.sentence2 is None:
            return first
        second = self.words.transform(examples.sentence2).astype(np.float64)
        shared = first.multiply(second)
        count = np.asarray(shared.sum(axis=1))
        either = np.asarray(first.sum(axis=1)) + np.asarray(second.sum(axis=1)) - count
        numbers = csr_matrix(np.hstack([count / 10, count / np.maximum(either, 1)]))
        return hstack([first, second, shared, numbers], format="csr")
