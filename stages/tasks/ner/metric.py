"""Precision, recall and F1 of whole entities."""

from collections import Counter

import datasets
from seqeval.metrics.sequence_labeling import get_entities

from stages.tasks.local_metric import LocalMetric


class NamedEntities(LocalMetric):
    """Entities found with exactly their words and type, counted by seqeval in its default mode.

    `NamedEntities().compute(predictions=[["B-PER", "O"]], references=[["B-PER", "O"]])` returns
    `precision`, `recall` and `f1` over all entities (0 where undefined), and `accuracy`, the
    share of words with the right tag. With `by_type=True` also `TYPE_precision`, `TYPE_recall`,
    `TYPE_f1` and `TYPE_number` of every type in either.

    Source: https://github.com/chakki-works/seqeval, the rules of conlleval. It finds the entities;
    the figures out of their numbers are those of its `classification_report`.
    """

    description = "Entity-level precision, recall and F1"

    def input_features(self) -> datasets.Features:
        """A list of tags a sentence."""
        tags = datasets.Sequence(datasets.Value("string"))
        return datasets.Features({"predictions": tags, "references": tags})

    def _start(self) -> None:
        self._sentences = self._words = self._right = 0
        # Of each type of entity: how many are right, predicted, and wanted.
        self._hits: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._wanted: Counter[str] = Counter()

    def _add(self, predictions: list[list[str]], references: list[list[str]]) -> None:
        for number, (found, tags) in enumerate(zip(predictions, references, strict=True)):
            if len(found) != len(tags):
                raise ValueError(
                    f"sentence {self._sentences + number}: {len(found)} predicted tags for "
                    f"{len(tags)} words"
                )
            self._words += len(tags)
            self._right += sum(one == other for one, other in zip(found, tags, strict=True))
        self._sentences += len(references)
        # Type, first and last word of each, counted through the sentences of the chunk; no entity
        # goes on in the next sentence.
        found, wanted = (set(get_entities(tags)) for tags in (predictions, references))
        self._hits.update(name for name, _, _ in found & wanted)
        self._predicted.update(name for name, _, _ in found)
        self._wanted.update(name for name, _, _ in wanted)

    def _result(self, by_type: bool = False) -> dict[str, float]:
        overall = _figures(self._hits.total(), self._predicted.total(), self._wanted.total())
        scores = {**overall, "accuracy": self._right / self._words}
        if by_type:
            for name in sorted(self._predicted.keys() | self._wanted.keys()):
                figures = _figures(self._hits[name], self._predicted[name], self._wanted[name])
                scores |= {f"{name}_{key}": value for key, value in figures.items()}
                scores[f"{name}_number"] = self._wanted[name]
        return scores


def _figures(hits: int, predicted: int, wanted: int) -> dict[str, float]:
    precision = hits / predicted if predicted else 0.0
    recall = hits / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
