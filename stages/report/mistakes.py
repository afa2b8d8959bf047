"""The worst mistakes of each task on the test split, out of the predictions in `results/TASK`.

What is worst is a task's own: a wrong class that the model was surest of, the sentence with the
most wrong tags, the summary that shares least with its reference. Nothing here is drawn at random.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import InputError
from stages.training.results import PREDICTIONS

KEPT = 8


@dataclass(frozen=True)
class Mistake:
    """One mistake as the page shows it.

    parts: (label, text) in the order of reading.
    note: why it is here.
    words: of a tagged sentence: (word, right tag, predicted tag).
    audio: the clip's file, FLAC, WAV, OGG or MP3; None for what is not heard.
    """

    parts: list[tuple[str, str]]
    note: str
    words: list[tuple[str, str, str]] = field(default_factory=list)
    audio: bytes | None = None


def read_lines(path: Path) -> list[dict]:
    """The rows of a JSON lines file.

    Raises:
        InputError: a line that is no JSON object.
    """
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"{path}: line {number}: {error}; run make repro") from None
    return rows


def glue_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Wrong classes, the surest first; of a regression the farthest numbers."""
    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        texts = [(name, row[name]) for name in ("sentence1", "sentence2") if name in row]
        right, found = row.get("label"), row["prediction"]
        said = [*texts, ("label", str(right)), ("prediction", str(found))]
        if "probability" not in row:
            distance = abs(float(found) - float(right))
            ranked.append((distance, Mistake(said, f"{distance:.3g} apart")))
        elif right is not None and str(right) != str(found):
            ranked.append(
                (row["probability"], Mistake(said, f"probability {row['probability']:.3f}"))
            )
    return _worst(ranked)


def ner_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The sentences with the most wrong tags."""
    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        words = list(zip(row["tokens"], row["ner_tags"], row["predictions"], strict=True))
        wrong = sum(right != found for _, right, found in words)
        if wrong:
            ranked.append((wrong, Mistake([], f"{wrong} of {len(words)} tags", words)))
    return _worst(ranked)


def qa_mistakes(results: Path, data: Path) -> list[Mistake]:
    """Answers that share no word with a right one, the surest first."""
    from stages.tasks.qa.examples import read_examples

    examples = read_examples(str(next(data.glob("test.*"))), version_2_with_negative=True)
    best = json.loads((results / "eval_nbest_predictions.json").read_text(encoding="utf-8"))
    answers = json.loads((results / PREDICTIONS["eval"]).read_text(encoding="utf-8"))
    ranked = []
    for row, name in enumerate(examples.ids):
        right, found = examples.answers[row], answers[name]
        shared = {*found.lower().split()} & {word for one in right for word in one.lower().split()}
        if shared or (not found and not right):
            continue
        odds = next((one["probability"] for one in best[name] if one["text"] == found), 0.0)
        parts = [
            ("context", examples.contexts[row]),
            ("question", examples.questions[row]),
            ("right", " / ".join(dict.fromkeys(right)) or "no answer"),
            ("answer", found or "no answer"),
        ]
        ranked.append((odds, Mistake(parts, f"probability {odds:.3f}")))
    return _worst(ranked)


def summarization_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The summaries with the lowest ROUGE-1 (Lin 2004)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1"], use_stemmer=True)
    ranked = []
    for row in read_lines(results / PREDICTIONS["test"]):
        if not row.get("summary"):
            continue
        score = scorer.score(row["summary"], row["prediction"])["rouge1"].fmeasure
        parts = [(name, row[name]) for name in ("document", "summary", "prediction")]
        if score < 1:
            ranked.append((1 - score, Mistake(parts, f"ROUGE-1 {100 * score:.1f}")))
    return _worst(ranked)


def speech_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The clips with the most wrong words, with what was said."""
    import jiwer

    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        if not row.get("text") or row["text"] == row["prediction"]:
            continue
        wrong = jiwer.wer(row["text"], row["prediction"])
        parts = [("said", row["text"]), ("written", row["prediction"])]
        ranked.append((wrong, row["path"], Mistake(parts, f"word error rate {wrong:.2f}")))
    ranked.sort(key=lambda one: (-one[0], one[1]))
    clips = clips_of(data, {path for _, path, _ in ranked[:KEPT]})
    return [Mistake(one.parts, one.note, audio=clips.get(path)) for _, path, one in ranked[:KEPT]]


def clips_of(data: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The files of these clips out of the Parquet file of the test split."""
    import pyarrow.parquet

    path = data / "test.parquet"
    if not path.is_file():
        return {}
    audio = pyarrow.parquet.read_table(path, columns=["audio"])["audio"].to_pylist()
    return {one["path"]: one["bytes"] for one in audio if one["path"] in wanted and one["bytes"]}


def language_mistakes(results: Path, data: Path) -> list[Mistake]:
    """The tokens that a language model expected least and would have told otherwise."""
    ranked = []
    for row in read_lines(results / PREDICTIONS["eval"]):
        if row["label"] != row["prediction"]:
            parts = [(name, row[name]) for name in row if name != "loss"]
            ranked.append((row["loss"], Mistake(parts, f"{row['loss']:.3g} nats")))
    return _worst(ranked)


READERS: dict[str, Callable[[Path, Path], list[Mistake]]] = {
    **dict.fromkeys(("mlm", "clm", "t5_mlm"), language_mistakes),
    "glue": glue_mistakes,
    "ner": ner_mistakes,
    "qa": qa_mistakes,
    "summarization": summarization_mistakes,
    "speech": speech_mistakes,
}


def _worst(ranked: list[tuple[float, Mistake]]) -> list[Mistake]:
    """The first `KEPT` by falling rank; of equals, those that come first in the file."""
    return [one for _, one in sorted(ranked, key=lambda pair: -pair[0])[:KEPT]]
