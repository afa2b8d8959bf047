"""Precision, recall and F1 of whole entities."""

import datasets
from seqeval.metrics import accuracy_score, classification_report

from stages.tasks.local_metric import LocalMetric


class NamedEntities(LocalMetric):
    """Entities found with exactly their words and type, counted by seqeval in its default mode.

    `NamedEntities().compute(predictions=[["B-PER", "O"]], references=[["B-PER", "O"]])` returns
    `precision`, `recall` and `f1` over all entities (0 where undefined), and `accuracy`, the
    share of words with the right tag. With `by_type=True` also `TYPE_precision`, `TYPE_recall`,
    `TYPE_f1` and `TYPE_number` of every type in either.

    Source: https://github.com/chakki-works/seqeval, the rules of conlleval.
    """

    description = "Entity-level precision, recall and F1"

    def input_features(self) -> datasets.Features:
        """A list of tags a sentence."""
        tags = datasets.Sequence(datasets.Value("string"))
        return datasets.Features({"predictions": tags, "references": tags})

    def _compute(self, predictions, references, by_type: bool = False) -> dict[str, float]:
        accuracy = float(accuracy_score(references, predictions))
        if {tag for tags in (*predictions, *references) for tag in tags} == {"O"}:
            # seqeval would average over no types at all, and warn.
            return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": accuracy}
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
        for average in ("macro avg", "weighted avg"):
            del report[average]
        overall = report.pop("micro avg")
        scores = {**_figures(overall), "accuracy": accuracy}
        if by_type:
            for name, figures in report.items():
                scores |= {f"{name}_{key}": value for key, value in _figures(figures).items()}
                scores[f"{name}_number"] = int(figures["support"])
        return scores


def _figures(entry: dict) -> dict[str, float]:
    return {
        "precision": float(entry["precision"]),
        "recall": float(entry["recall"]),
        "f1": float(entry["f1-score"]),
    }
