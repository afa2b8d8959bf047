"""A run made up for the report: metrics, plots, predictions of each task; and its page."""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile
import yaml

from stages.report.__main__ import main

TASKS = ("glue", "ner", "qa", "summarization", "speech", "clm")


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_results(folder: Path) -> None:
    """Predictions of each task, with a mistake in each."""
    pair = {"sentence1": "a <b>", "sentence2": "c & d"}
    write_lines(
        folder / "results/glue/eval_predictions.json",
        [
            {**pair, "label": "same", "prediction": "other", "probability": 0.75},
            {**pair, "label": "same", "prediction": "other", "probability": 0.95},
            {**pair, "label": "same", "prediction": "same", "probability": 0.99},
        ],
    )
    write_lines(
        folder / "results/ner/eval_predictions.json",
        [
            {"tokens": ["Bob", "went"], "ner_tags": ["B-PER", "O"], "predictions": ["O", "O"]},
            {"tokens": ["He"], "ner_tags": ["O"], "predictions": ["O"]},
        ],
    )
    (folder / "results/qa").mkdir(parents=True)
    (folder / "results/qa/eval_predictions.json").write_text(
        json.dumps({"q1": "London", "q2": "", "q3": "in May"})
    )
    nbest = {
        "q1": [{"text": "London", "probability": 0.8}],
        "q2": [{"text": "", "probability": 0.9}],
        "q3": [{"text": "in May", "probability": 0.7}],
    }
    (folder / "results/qa/eval_nbest_predictions.json").write_text(json.dumps(nbest))
    context = "Bob met Alice in Paris in May ."
    write_lines(
        folder / "data/qa/test.json",
        [
            {"id": "q1", "question": "Where ?", "context": context,
             "answers": {"text": ["Paris"], "answer_start": [context.index("Paris")]}},
            {"id": "q2", "question": "Who left ?", "context": context,
             "answers": {"text": [], "answer_start": []}},
            {"id": "q3", "question": "When ?", "context": context,
             "answers": {"text": ["May"], "answer_start": [context.index("May")]}},
        ],
    )  # fmt: skip
    write_lines(
        folder / "results/summarization/predictions.json",
        [
            {"document": "d", "summary": "a b", "prediction": "a b"},
            {"document": "d", "summary": "a b", "prediction": "x y"},
        ],
    )
    write_lines(
        folder / "results/speech/eval_predictions.json",
        [
            {"path": "1.flac", "text": "at four", "prediction": "at four"},
            {"path": "2.flac", "text": "at five", "prediction": "at nine"},
        ],
    )
    write_lines(
        folder / "results/clm/eval_predictions.json",
        [
            {"text": "He went to", "label": "Paris", "prediction": "Rome", "loss": 2.25},
            {"text": "He went to", "label": "Ghent", "prediction": "Rome", "loss": 7.125},
            {"text": "He went", "label": "to", "prediction": "to", "loss": 9.0},
        ],
    )
    clip = folder / "clip.flac"
    soundfile.write(clip, np.sin(np.arange(1600) / 9), 16000)
    audio = [{"path": name, "bytes": clip.read_bytes()} for name in ("1.flac", "2.flac")]
    (folder / "data/speech").mkdir(parents=True)
    table = pyarrow.table({"audio": audio, "text": ["at four", "at five"]})
    pyarrow.parquet.write_table(table, folder / "data/speech/test.parquet")


def write_state(folder: Path, value: float, losses: list[float]) -> None:
    """Metrics, plots, the lock that records them."""
    params = {
        "tasks": {task: {} for task in TASKS},
        "gates": {task: {"eval_it": {"min": 0.5, "tolerance": 0.1}} for task in TASKS},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    plots = [
        {"loss of training": {"x": "step", "y": {"plots/glue/train.csv": "loss"}}},
        {"it": {"x": "step", "y": {"glue/validation.csv": ["eval_it", "eval_gone"]}}},
    ]
    evaluate = {"cmd": "x", "metrics": [{"metrics/${item}.json": {"cache": False}}]}
    stages = {"evaluate": {"foreach": [*TASKS], "do": evaluate}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages, "plots": plots[:1]}))
    (folder / "plots").mkdir(exist_ok=True)
    (folder / "plots/dvc.yaml").write_text(yaml.safe_dump({"plots": plots[1:]}))
    stages = {}
    for task in TASKS:
        path = folder / f"metrics/{task}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"eval_it": value, "eval_other": 1}))
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        out = {"path": f"metrics/{task}.json", "hash": "md5", "md5": md5}
        stages[f"evaluate@{task}"] = {"cmd": "x", "outs": [out]}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    (folder / "versions.json").write_text(json.dumps({"jax": f"0.{len(losses)}", "flax": "1"}))
    curve = folder / "plots/glue/train.csv"
    curve.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{step},{loss}\n" for step, loss in enumerate(losses))
    curve.write_text("step,loss\n" + rows)
    (folder / "plots/glue/validation.csv").write_text("step,eval_it\n1,0.5\n2,\n3,0.75\n")


class Page(HTMLParser):
    """The text of a page, and every address that a browser would ask for."""

    def __init__(self, text: str):
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        names = ("src", "href", "xlink:href", "srcset", "action")
        self.addresses += [value for name, value in attributes if name in names]

    def handle_data(self, data):
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def render(folder: Path, *arguments: str) -> tuple[Page, str]:
    output = folder / "runs/page.html"
    main(["--repo-dir", str(folder), "--output", str(output), *arguments])
    text = output.read_text(encoding="utf-8")
    return Page(text), text
