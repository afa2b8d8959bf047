"""How near summaries come to their references: ROUGE, and the share of the names."""

import functools
import re
from array import array
from collections.abc import Iterable, Iterator

import datasets
import numpy as np

from stages.tasks.local_metric import LocalMetric, in_step

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

    def _start(self) -> None:
        # The F1 of every row: NumPy's mean of all is not the sum of those of parts.
        self._scores = {name: array("d") for name in ROUGE_TYPES}

    def _add(self, predictions: list[str], references: list[str]) -> None:
        scorer = _scorer()
        for prediction, reference in zip(predictions, references, strict=True):
            if self.config_name == "punkt":
                prediction, reference = (
                    "\n".join(sentences(text)) for text in (prediction, reference)
                )
            score = scorer.score(reference, prediction)
            for name, column in self._scores.items():
                column.append(score[name].fmeasure)

    def _result(self) -> dict[str, float]:
        return {name: 100.0 * float(np.mean(column)) for name, column in self._scores.items()}


@functools.cache
def _scorer():
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(ROUGE_TYPES, use_stemmer=True)


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
    predictions: Iterable[str], references: Iterable[str], documents: Iterable[str]
) -> float | None:
    """The share of the references' names that their predictions have, whole and alone.

    Names are those of `names`; all rows count together. A prediction that takes half of a name,
    or runs it together with another, has missed it. None where no reference holds a name.
    """
    return _share_of_names(zip(predictions, references, documents, strict=True))


def _share_of_names(rows: Iterable[tuple[str, str, str]]) -> float | None:
    found = total = 0
    for prediction, reference, document in rows:
        wanted = names(reference, document)
        found += len(wanted & names(prediction, document))
        total += len(wanted)
    return found / total if total else None


def summary_metrics(
    predictions: Iterable[str], references: Iterable[str], documents: Iterable[str]
) -> dict[str, float]:
    """ROUGE, and `names_right` where the references hold names."""
    rouge = Rouge()

    def rows() -> Iterator[tuple[str, str, str]]:
        # Each row is read once, for both.
        for chunk in in_step(predictions=predictions, references=references, documents=documents):
            rouge.add_batch(predictions=chunk["predictions"], references=chunk["references"])
            yield from zip(*chunk.values(), strict=True)

    share = _share_of_names(rows())
    metrics = rouge.compute()
    return metrics if share is None else {**metrics, "names_right": share}
