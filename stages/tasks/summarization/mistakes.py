"""The worst mistakes of a summarizer, for the report."""

from collections.abc import Iterator
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from stages.tasks.mistakes import Mistake, read_lines, worst
from stages.training.results import PREDICTIONS


def find_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The summaries with the lowest ROUGE-1 (Lin 2004)."""
    return worst(_ranked(results))


def _ranked(results: Path) -> Iterator[tuple[float, Mistake]]:
    scorer = RougeScorer(["rouge1"], use_stemmer=True)
    for row in read_lines(results / PREDICTIONS["test"]):
        if not row.get("summary"):
            continue
        score = scorer.score(row["summary"], row["prediction"])["rouge1"].fmeasure
        parts = [(name, row[name]) for name in ("document", "summary", "prediction")]
        if score < 1:
            yield 1 - score, Mistake(parts, f"ROUGE-1 {100 * score:.1f}")
