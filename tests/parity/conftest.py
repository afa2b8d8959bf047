"""Collects the differences between flaxmill and PyTorch for `make parity`."""

import importlib.metadata
from collections import defaultdict
from pathlib import Path

import pytest

from stages.core.text_table import markdown_table

# What is compared, its tolerance, and the text about it.
CHECKS = {
    "logits in": (1e-4, "logits of a PyTorch folder opened here"),
    "logits out": (1e-4, "logits of our folder opened in PyTorch"),
    "loss": (1e-5, "loss of the task's script, beside the one PyTorch's class computes"),
    "gradients": (1e-4, "every gradient of that loss"),
    "50 losses": (1e-3, "the losses of 50 steps of AdamW from the same weights"),
    "50 steps": (1e-3, "the weights after these steps"),
}
# What is compared of the pipeline's models, see `test_predictions.py`.
PREDICTIONS = {
    "mlm": "50 rows: loss, perplexity, accuracy and hardest token; masks of 50 lines, filled in",
    "glue": "50 pairs: class and probability",
    "ner": "50 sentences: tag of each word, loss",
    "qa": "50 questions: answer or none, its odds, logits and probability of each candidate",
    "clm": "50 blocks: loss, perplexity, accuracy and hardest token; 50 lines, gone on with",
    "t5_mlm": "50 rows: loss, perplexity, accuracy and hardest token; gaps of 50 lines, filled in",
    "summarization": "50 documents: summary and number of tokens, loss of the true one",
    "speech": "50 clips: transcript, loss of the true one",
}
LIBRARIES = ("torch", "transformers", "jax", "flax", "optax")


class Page:
    """The results: for each subject the largest difference, and how often tokens were equal."""

    def __init__(self):
        self.worst = defaultdict(dict)
        self.equal = defaultdict(int)
        self.predictions = {}
        self.partial = False

    def compare(self, subject: str, check: str, difference: float) -> None:
        """Note a relative difference, and refuse one that is too large."""
        allowed, _ = CHECKS[check]
        cells = self.worst[subject]
        cells[check] = max(difference, cells.get(check, 0.0))
        assert difference < allowed, f"{subject}, {check}: {difference:.1e} is not below {allowed}"

    def tokens(self, subject: str, ours: list, theirs: list) -> None:
        """Count a case whose tokens are equal, and refuse others."""
        assert ours == theirs
        self.equal[subject] += 1

    def predicted(self, task: str, difference: float) -> None:
        """Note the largest difference of a score of the pipeline's model, an absolute one."""
        self.predictions[task] = difference

    def text(self) -> str:
        """The page in Markdown."""
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
        heads = [f"{check} < {allowed:.0e}" for check, (allowed, _) in CHECKS.items()]
        rows = [
            [subject, *(f"{cells[check]:.0e}" if check in cells else "" for check in CHECKS)]
            for subject, cells in self.worst.items()
        ]
        counts = [[subject, str(count)] for subject, count in self.equal.items()]
        predicted = [
            [task, said, f"{self.predictions[task]:.0e}" if task in self.predictions else "not run"]
            for task, said in PREDICTIONS.items()
        ]
        return "\n".join(
            [
                "# Equality with PyTorch",
                "",
                "Written by `make parity`, on random models of every architecture and head; do not",
                f"edit it. With {versions}.",
                "",
                markdown_table(["model and head", *heads], rows),
                "",
                "Differences are relative, the worst of all that were seen:",
                "",
                *(f"- **{check}**: {said}," for check, (_, said) in CHECKS.items()),
                "",
                "against the largest value of what is compared, or of a hundredth of the largest",
                "gradient. Training is without dropout. Two things differ on purpose and are not",
                "in the batches compared: padding can be no answer to a question here, and a",
                "padding token that the mask calls text is trained like any other.",
                "",
                "## Generation",
                "",
                "Greedy and beam search under many options, on all rows token for token the same.",
                "",
                markdown_table(["model", "cases"], counts),
                "",
                "## The pipeline's models",
                "",
                "What `python -m stages.predict` writes with the models of `make repro` on the",
                "first rows of their test files, and what plain transformers predicts with the",
                "same folders, tokenizers and settings of `flaxmill.json`, a row at a time. A",
                "score may differ by 1e-04, a mean loss by 1e-05. Another choice than PyTorch's",
                "is refused unless its own scores of both are as near as 1e-04.",
                "",
                markdown_table(["task", "compared", "largest difference"], predicted),
                "",
                "A comparison that finds no model is not run (`make repro` makes them). Only which",
                "tokens an evaluation hides is taken from flaxmill on both sides. Weight matrices",
                "that are 1 % larger are noticed in each task.",
                "",
            ]
        )


PAGE = Page()


@pytest.fixture
def page() -> Page:
    """The page that records comparisons."""
    return PAGE


def pytest_addoption(parser):
    parser.addoption("--parity-page", help="the file to write the differences to")


def pytest_deselected(items):
    """Note whether only a part was selected."""
    PAGE.partial = PAGE.partial or bool(items)


def pytest_sessionfinish(session, exitstatus):
    """Write the page, unless the run failed or was partial."""
    target = session.config.getoption("--parity-page", default=None)
    if target and exitstatus == 0 and not PAGE.partial:
        path = Path(target)
        path.parent.mkdir(exist_ok=True)
        path.write_text(PAGE.text(), encoding="utf-8")
