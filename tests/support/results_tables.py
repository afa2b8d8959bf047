"""The tables of results in README.md and docs/, from the committed metrics and figures.

    python tests/support/results_tables.py    # rewrite them, after a run that moved figures

In a page each table stands between `<!-- results: NAME -->` and `<!-- end of results -->`.
"""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from stages.core.text_table import markdown_table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # where it is called as a script

from support import trials  # noqa: E402

PAGES = ("README.md", "docs/results.md", "docs/own-data.md")
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.S)


class Row(NamedTuple):
    """`model` and `baseline` are format strings over the figures of metrics/ and its baselines/."""

    task: str
    metric: str
    model: str
    baseline: str = ""


SUMMARY = (
    Row(
        "mlm",
        "perplexity of masked tokens",
        "{eval_perplexity:.2f}",
        "{neighbours_eval_perplexity:.0f} (both neighbours)",
    ),
    Row("glue", "accuracy", "{eval_accuracy:.3f}", "{bag_of_words_accuracy:.3f} (bag of words)"),
    Row("ner", "F1 of entities", "{eval_f1:.3f}", "{lookup_f1:.3f} (lookup and capitals)"),
    Row("qa", "exact match", "{eval_exact:.1f}", "{no_answer_exact:.1f} (never answers)"),
    Row(
        "clm",
        "perplexity of the next token",
        "{eval_perplexity:.1f}",
        "{trigram_eval_perplexity:.0f} (two tokens before)",
    ),
    Row(
        "t5_mlm",
        "accuracy of target tokens",
        "{eval_accuracy:.3f}",
        "{neighbours_eval_accuracy:.3f} (both neighbours)",
    ),
    Row("summarization", "ROUGE-1", "{test_rouge1:.1f}", "{lead_rouge1:.1f} (lead sentence)"),
    Row("speech", "word error rate", "{eval_wer:.3f}", "{nearest_wer:.2f} (nearest clip)"),
)

DETAILS = (
    Row(
        "mlm",
        "perplexity of masked tokens, 1,000 pieces",
        "{eval_perplexity:.2f}",
        "{neighbours_eval_perplexity:.0f} (both neighbours), "
        "{unigram_eval_perplexity:.0f} (frequencies)",
    ),
    Row("mlm", "bits per byte", "{eval_bits_per_byte:.2f}"),
    Row(
        "glue",
        "accuracy",
        "{eval_accuracy:.3f}",
        "{bag_of_words_accuracy:.3f} (bag of words), {majority_accuracy:.1f} (majority)",
    ),
    Row("ner", "F1 of entities", "{eval_f1:.3f}", "{lookup_f1:.3f} (lookup and capitals)"),
    Row("ner", "accuracy of words", "{eval_accuracy:.3f}", "{lookup_accuracy:.3f}"),
    Row(
        "qa",
        "exact match",
        "{eval_exact:.1f}",
        "{no_answer_exact:.1f} (never answers), {overlap_exact:.1f} (word overlap)",
    ),
    Row("qa", "F1", "{eval_f1:.1f}", "{no_answer_f1:.1f}, {overlap_f1:.1f}"),
    Row(
        "qa",
        "F1 where there is an answer",
        "{eval_HasAns_f1:.1f}",
        "{no_answer_HasAns_f1:.1f}, {overlap_HasAns_f1:.1f}",
    ),
    Row(
        "qa",
        "exact match where there is none",
        "{eval_NoAns_exact:.1f}",
        "{no_answer_NoAns_exact:.1f}, {overlap_NoAns_exact:.1f}",
    ),
    Row(
        "clm",
        "perplexity of the next token, 1,000 pieces",
        "{eval_perplexity:.2f}",
        "{trigram_eval_perplexity:.0f} (two tokens before), "
        "{unigram_eval_perplexity:.0f} (frequencies)",
    ),
    Row(
        "clm",
        "bits per byte",
        "{eval_bits_per_byte:.2f}",
        "{trigram_eval_bits_per_byte:.2f}, {unigram_eval_bits_per_byte:.2f}",
    ),
    Row(
        "t5_mlm",
        "accuracy of target tokens",
        "{eval_accuracy:.3f}",
        "{neighbours_eval_accuracy:.3f} (both neighbours), "
        "{frequent_eval_accuracy:.3f} (the most frequent)",
    ),
    Row(
        "t5_mlm",
        "accuracy of the text's tokens alone",
        "{eval_content_accuracy:.3f}",
        "{neighbours_eval_content_accuracy:.3f}, {frequent_eval_content_accuracy:.3f}",
    ),
    Row(
        "summarization",
        "ROUGE-1, -2, -L",
        "{test_rouge1:.1f}, {test_rouge2:.1f}, {test_rougeL:.1f}",
        "{lead_rouge1:.1f}, {lead_rouge2:.1f}, {lead_rougeL:.1f} (lead sentence)",
    ),
    Row(
        "summarization",
        "share of names that are right",
        "{test_names_right:.2f}",
        "{lead_names_right:.2f}",
    ),
    Row(
        "speech",
        "word error rate, voices and sentences never heard",
        "{eval_wer:.3f}",
        "{nearest_wer:.2f} (nearest clip), {most_frequent_wer:.2f} (the most frequent sentence)",
    ),
)

HEADER = ("task", "metric", "model", "simple baselines")
GROUP = "eval_accuracy_"  # glue's accuracy on each kind of pair


def figures(task: str, root: Path = ROOT) -> dict[str, float]:
    """The committed figures of a task and of its baselines."""
    files = (root / "metrics" / f"{task}.json", root / "metrics/baselines" / f"{task}.json")
    model, baseline = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    return baseline | model


def results(rows: tuple[Row, ...]) -> str:
    """The Markdown table of these rows."""
    cells = []
    for row in rows:
        found = figures(row.task)
        cells.append(
            (
                f"`{row.task}`",
                row.metric,
                f"**{row.model.format(**found)}**",
                row.baseline.format(**found),
            )
        )
    return markdown_table(HEADER, cells)


def pairs() -> str:
    """The Markdown table of glue's accuracy on each kind of pair."""
    found = figures("glue")
    kinds = [
        (name.removeprefix(GROUP).replace("_", " "), f"{value:.2f}")
        for name, value in sorted(found.items())
        if name.startswith(GROUP)
    ]
    return markdown_table(("kind of pair", "accuracy"), kinds)


def with_tables(page: str) -> str:
    """The text of a page with each table as the metrics give it."""
    tables = {
        "summary": results(SUMMARY),
        "details": results(DETAILS),
        "pairs": pairs(),
        "own_data": trials.table(json.loads(trials.FIGURES.read_text(encoding="utf-8"))),
    }
    return BLOCK.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", page)


def write_pages() -> None:
    """Write the tables of each page again, and say where they changed."""
    for name in PAGES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if (new := with_tables(text)) != text:
            path.write_text(new, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    write_pages()
