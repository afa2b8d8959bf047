"""Word and character error rates."""

import datasets
import jiwer
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

from stages.tasks.local_metric import LocalMetric


class WordErrors(LocalMetric):
    """Errors that turn a transcript into its reference, counted by jiwer over a whole data set.

    `WordErrors("basic").compute(predictions=["a b"], references=["a c"])` returns `wer` and `cer`:
    substitutions, deletions and insertions over all utterances, divided by the words (characters,
    spaces between words included) of all references. Both may exceed 1. They are taken after the
    normalisation that the metric is named for:

    - `basic`: Whisper's BasicTextNormalizer: lower case, brackets with what they hold removed,
      punctuation and symbols to spaces;
    - `english`: Whisper's EnglishTextNormalizer: contractions written out, numbers as digits,
      American spelling (where `spelling` maps it), fillers removed;
    - `none`: as the text stands.

    `wer_raw` and `cer_raw` are those without normalisation, which the old scripts reported.

    Source: https://github.com/jitsi/jiwer; the normalisers are those of Radford et al. 2022,
    appendix C.
    """

    description = "Word and character error rate"

    def __init__(self, normalisation: str = "basic", spelling: dict[str, str] | None = None):
        super().__init__(normalisation)
        if normalisation == "english":
            self.normalise = EnglishTextNormalizer(spelling or {})
        elif normalisation == "basic":
            self.normalise = BasicTextNormalizer()
        else:
            self.normalise = str

    def input_features(self) -> datasets.Features:
        """Two texts an utterance."""
        text = datasets.Value("string")
        return datasets.Features({"predictions": text, "references": text})

    def _compute(self, predictions, references) -> dict[str, float]:
        plain = _rates(predictions, references)
        normal = _rates(
            *([self.normalise(text) for text in texts] for texts in (predictions, references))
        )
        return {**normal, **{f"{name}_raw": value for name, value in plain.items()}}


def _rates(predictions: list[str], references: list[str]) -> dict[str, float]:
    words = jiwer.process_words(references, predictions)
    characters = jiwer.process_characters(references, predictions)
    return {"wer": _rate(words), "cer": _rate(characters)}


def _rate(counts) -> float:
    # jiwer's own figure is a count, not a rate, where the references hold nothing.
    errors = counts.substitutions + counts.deletions + counts.insertions
    return errors / (counts.hits + counts.substitutions + counts.deletions or float("nan"))
