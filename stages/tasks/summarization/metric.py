"""How near summaries come to their references: ROUGE, and the share of the names."""

import functools
import re
from collections.abc import Sequence

import datasets
import numpy as np

from stages.tasks.local_metric import LocalMetric

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
SPLITTERS = {
    "punkt": "sentences as nltk's PunktSentenceTokenizer splits them without any training",
    "lines": "sentences are the lines of a text",
}
_WORD = re.compile(r"\w+")


@functools.cache
def _punkt():
    # Imported here: nltk takes seconds. The class by itself has no abbreviations to load;
    # `nltk.sent_tokenize`, which the reference calls, would fetch a trained one.
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer()


def sentences(text: str) -> list[str]:
    """The sentences of `text` as the splitter `punkt` sees them; it knows no abbreviations."""
    return _punkt().tokenize(text)


class Rouge(LocalMetric):
    """ROUGE of predictions against one reference each: mean F1 over the rows, in percent.

    `rouge1` and `rouge2` count common words and pairs of words, `rougeL` the longest common
    subsequence of the whole texts, `rougeLsum` the union of those between their sentences. Words
    are runs of ASCII letters and digits in lower case, those above three letters stemmed
    (Porter), as in ROUGE-1.5.5 with `-m`; a text in another script scores 0.

    Args:
        config_name: the splitter of sentences for `rougeLsum`, a key of `SPLITTERS`.

    Source: Lin 2004, https://aclanthology.org/W04-1013; computed by the package rouge-score. The
    mean is the plain one, where the official program gives the median of resampled means.
    """

    description = "ROUGE F1 in percent, stemmed"

    def __init__(self, config_name: str = "punkt"):
        self.description = f"{self.description}; {SPLITTERS[config_name]}"
        super().__init__(config_name)

    def input_features(self) -> datasets.Features:
        """A text each."""
        text = datasets.Value("string")
        return datasets.Features({"predictions": text, "references": text})

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(ROUGE_TYPES, use_stemmer=True)
        if self.config_name == "punkt":
            predictions, references = (
                ["\n".join(sentences(text)) for text in texts]
                for texts in (predictions, references)
            )
        scores = [
            scorer.score(reference, prediction)
            for prediction, reference in zip(predictions, references, strict=True)
        ]
        return {
            name: 100.0 * float(np.mean([score[name].fmeasure for score in scores]))
            for name in ROUGE_TYPES
        }


def names(text: str, document: str) -> set[str]:
    """The names in `text` that `document` holds, so that they can be copied from it.

    A name is a run of words of two letters or more that begin with a capital, with nothing but
    blanks or hyphens between them. A word is no part of one if the document has it in lower case
    too, or with a capital only at the beginning of sentences and no other such word behind it.
    """
    known = _name_words(document)
    runs: list[list[str]] = []
    ended = None
    for match in _WORD.finditer(text):
        if match[0] not in known:
            continue
        if ended is not None and not text[ended : match.start()].strip(" \n-"):
            runs[-1].append(match[0])
        else:
            runs.append([match[0]])
        ended = match.end()
    held = f" {' '.join(_WORD.findall(document))} "
    return {name for run in runs if f" {(name := ' '.join(run))} " in held}


def _name_words(document: str) -> set[str]:
    spelt: set[str] = set()
    found: set[str] = set()
    for sentence in sentences(document):
        words = _WORD.findall(sentence)
        capital = [len(word) > 1 and word[0].isupper() for word in words]
        spelt.update(words)
        for place, word in enumerate(words):
            if capital[place] and (place or any(capital[1:2])):
                found.add(word)
    return {word for word in found if word[0].lower() + word[1:] not in spelt}


def names_right(
    predictions: Sequence[str], references: Sequence[str], documents: Sequence[str]
) -> float | None:
    """The share of the references' names that their predictions have, whole and alone.

    Names are those of `names`; all rows count together. A prediction that takes half of a name,
    or runs it together with another, has missed it. None where no reference holds a name.
    """
    found = total = 0
    for prediction, reference, document in zip(predictions, references, documents, strict=True):
        wanted = names(reference, document)
        found += len(wanted & names(prediction, document))
        total += len(wanted)
    return found / total if total else None


def summary_metrics(
    predictions: Sequence[str], references: Sequence[str], documents: Sequence[str]
) -> dict[str, float]:
    """ROUGE, and `names_right` where the references hold names."""
    metrics = Rouge().compute(predictions=list(predictions), references=list(references))
    share = names_right(predictions, references, documents)
    return metrics if share is None else {**metrics, "names_right": share}
