"""Word and character error rates."""

from collections import Counter

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

    def _start(self) -> None:
        # Errors, and the words or characters of the references, under the names of the figures.
        self._errors: Counter[str] = Counter()
        self._units: Counter[str] = Counter()

    def _add(self, predictions: list[str], references: list[str]) -> None:
        self._count_errors("_raw", predictions, references)
        normal = ([self.normalise(text) for text in texts] for texts in (predictions, references))
        self._count_errors("", *normal)

    def _count_errors(self, kind: str, predictions: list[str], references: list[str]) -> None:
        for name, process in (("wer", jiwer.process_words), ("cer", jiwer.process_characters)):
            found = process(references, predictions)
            changed = found.substitutions + found.deletions
            self._errors[name + kind] += changed + found.insertions
            self._units[name + kind] += changed + found.hits

    def _result(self) -> dict[str, float]:
        # jiwer's own figure is a count, not a rate, where the references hold nothing.
        return {
            name: self._errors[name] / (self._units[name] or float("nan"))
            for name in ("wer", "cer", "wer_raw", "cer_raw")
        }
