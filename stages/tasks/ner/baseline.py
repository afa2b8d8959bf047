"""What a lookup of training words and capital letters reach on named entities."""

from collections import Counter, defaultdict

from stages.tasks.ner.examples import Examples, read_examples
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.ner.tags import OUTSIDE


def measure(folder: str) -> dict[str, dict[str, float]]:
    """`baselines` of a folder in the task's standard form."""
    train, test = (read_examples(f"{folder}/{split}.json") for split in ("train", "test"))
    return baselines(train, test, by_type=True)


def baselines(
    train: Examples, held_out: Examples, *, by_type: bool = False
) -> dict[str, dict[str, float]]:
    """The metrics of a simple method on `held_out`, under the model's metric names.

    `lookup` gives a word the type it most often had in training; one never seen is of the most
    frequent type if it has a capital and does not begin the sentence, else outside. Neighbours
    of one type are one entity.
    """
    types: dict[str, Counter] = defaultdict(Counter)
    for words, tags in zip(train.tokens, train.tags, strict=True):
        for word, tag in zip(words, tags, strict=True):
            types[word][_type(tag)] += 1
    totals = sum(types.values(), Counter())
    del totals[OUTSIDE]
    known = {word: _most(counts) for word, counts in types.items()}
    usual = _most(totals) if totals else OUTSIDE
    predictions = [_tags(words, known, usual) for words in held_out.tokens]
    metric = NamedEntities()
    return {
        "lookup": metric.compute(predictions=predictions, references=held_out.tags, by_type=by_type)
    }


def _most(counts: Counter) -> str:
    """The most frequent name; of several the first in the alphabet, whatever the rows' order."""
    return min(counts, key=lambda name: (-counts[name], name))


def _type(tag: str) -> str:
    return tag if tag == OUTSIDE else tag[2:]


def _tags(words: list[str], known: dict[str, str], usual: str) -> list[str]:
    tags, previous = [], OUTSIDE
    for place, word in enumerate(words):
        found = known.get(word, usual if place and word[0].isupper() else OUTSIDE)
        if found == OUTSIDE:
            tags.append(OUTSIDE)
        else:
            tags.append(("I-" if found == previous else "B-") + found)
        previous = found
    return tags
