"""What plain PyTorch transformers predicts with a trained folder, row by row, nothing batched.

Written without our code, but for which tokens an evaluation hides: that is held fixed.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
import transformers

from stages.data.batching import Batch
from stages.tasks.mlm.rows import Masker
from stages.tasks.t5_mlm.spans import Corrupter

CLASSES = {
    "mlm": "AutoModelForMaskedLM",
    "glue": "AutoModelForSequenceClassification",
    "ner": "AutoModelForTokenClassification",
    "qa": "AutoModelForQuestionAnswering",
    "clm": "AutoModelForCausalLM",
    "t5_mlm": "AutoModelForSeq2SeqLM",
    "summarization": "AutoModelForSeq2SeqLM",
    "speech": "AutoModelForSpeechSeq2Seq",
}
SEARCH = ("num_beams", "length_penalty", "min_length", "no_repeat_ngram_size")


class Folder:
    """A trained folder in PyTorch.

    model, tokenizer: as transformers opens them.
    processor: of speech, which holds the tokenizer too.
    kept: the arguments in `flaxmill.json`.
    """

    def __init__(self, task: str, path: Path):
        self.model = getattr(transformers, CLASSES[task]).from_pretrained(path).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        if task == "speech":
            self.processor = transformers.AutoProcessor.from_pretrained(path)
        self.kept = json.loads((path / "flaxmill.json").read_text())["arguments"]

    @torch.no_grad()
    def __call__(self, **inputs):
        return self.model(**inputs)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without special ones."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def write(self, inputs: dict, most: int) -> list[int]:
        """The tokens that `generate` adds, at most that many, as the folder asks."""
        given = {name: self.kept[name] for name in SEARCH if self.kept.get(name) is not None}
        with torch.no_grad():
            (ids,) = self.model.generate(**inputs, **given, max_new_tokens=most).tolist()
        # Whisper leaves its prompt out.
        return ids if "input_features" in inputs else ids[len(self.prompt(inputs)) :]

    def following(self, inputs: dict, tokens: list[int]) -> torch.Tensor:
        """The scores of each of some written tokens, float32 [tokens, vocabulary]."""
        prompt = self.prompt(inputs)
        name = "decoder_input_ids" if self.model.config.is_encoder_decoder else "input_ids"
        given = {**inputs, name: row_of([*prompt, *tokens[:-1]]), "attention_mask": None}
        return self(**given).logits[0, len(prompt) - 1 :]

    def prompt(self, inputs: dict) -> list[int]:
        """The tokens that stand before the first one that is written."""
        if "input_features" in inputs:
            return self.tokenizer.prefix_tokens
        if self.model.config.is_encoder_decoder:
            return [self.model.config.decoder_start_token_id]
        return inputs["input_ids"][0].tolist()

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


def row_of(ids) -> torch.Tensor:
    """A batch of one row."""
    return torch.as_tensor(np.asarray(ids), dtype=torch.long)[None]


def classes(folder: Folder, row: dict) -> torch.Tensor:
    """The probability of each class of a row of text classification, float64 [classes]."""
    columns = (folder.kept["text_column_name"], folder.kept["text_pair_column_name"])
    texts = [row[column] for column in columns if column]
    inputs = folder.tokenizer(
        *texts, truncation=True, max_length=folder.kept["max_seq_length"], return_tensors="pt"
    )
    return folder(**inputs).logits[0].double().softmax(-1)


def tags(folder: Folder, words: list[str]) -> torch.Tensor:
    """The log probabilities of each word's tag, float64 [words, tags]: those of its first piece."""
    inputs = folder.tokenizer(words, is_split_into_words=True, return_tensors="pt")
    assert inputs["input_ids"].shape[1] <= folder.kept["max_seq_length"]
    found = inputs.word_ids()
    first = [found.index(word) for word in range(len(words))]
    return folder(**inputs).logits[0, first].double().log_softmax(-1)


class Span(NamedTuple):
    """A possible answer: its characters, its text, its logits; `ranked` if n-best may hold it."""

    place: tuple[int, int]
    text: str
    start: float
    end: float
    ranked: bool

    @property
    def score(self) -> float:
        return self.start + self.end


def spans(folder: Folder, question: str, context: str) -> tuple[list[Span], tuple[float, float]]:
    """The spans of all windows of a question, and the logits at [CLS] with the lowest sum."""
    kept = folder.kept
    encoded = folder.tokenizer(
        question.lstrip(), context, truncation="only_second", max_length=kept["max_seq_length"],
        stride=kept["doc_stride"], return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    found, nulls = [], []
    for window in range(len(encoded["input_ids"])):
        names = folder.tokenizer.model_input_names
        out = folder(**{name: row_of(encoded[name][window]) for name in names})
        starts, ends = (one[0].tolist() for one in (out.start_logits, out.end_logits))
        nulls.append((starts[0], ends[0]))  # [CLS] is the first token
        inside = [at for at, part in enumerate(encoded.sequence_ids(window)) if part == 1]
        best = [
            sorted(inside, key=lambda at, scores=scores: -scores[at])[: kept["n_best_size"]]
            for scores in (starts, ends)
        ]
        for first in inside:
            for last in range(first, min(first + kept["max_answer_length"], inside[-1] + 1)):
                offsets = encoded["offset_mapping"][window]
                place = offsets[first][0], offsets[last][1]
                ranked = first in best[0] and last in best[1]
                text = context[slice(*place)]
                found.append(Span(place, text, starts[first], ends[last], ranked))
    return found, min(nulls, key=sum)


class Scored(NamedTuple):
    """The labels of a row of a language model.

    logits: float32 [labels, vocabulary].
    labels: int64 [labels].
    around: gives the texts that stand with a label, by their names.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    around: Callable[[int], dict[str, str]]


def _documents(file: Path) -> list[list[str]]:
    """The paragraphs of each document of a text file."""
    return [text.strip().split("\n") for text in file.read_text().split("\n\n")]


def _stream(folder: Folder, texts: list[str]) -> list[int]:
    """The tokens of all texts, an end before, between and behind them."""
    end = folder.tokenizer.eos_token_id
    return [end, *(token for text in texts for token in (*folder.ids(text), end))]


def masked_rows(folder: Folder, file: Path) -> Iterator[Scored]:
    """The rows of masked language modelling: whole documents, as many as fit."""
    kept, tokenizer = folder.kept, folder.tokenizer
    masker = Masker(tokenizer, kept["mlm_probability"], kept["seed"])
    for number, ids in enumerate(_packed(folder, _documents(file))):
        arrays = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), int)}
        hidden = masker.evaluation(Batch(np.array([number]), arrays)).arrays
        ends = np.array(ids) == tokenizer.sep_token_id
        inputs = {"input_ids": row_of(hidden["input_ids"][0])}
        if kept["alternate_segments"]:
            inputs["token_type_ids"] = row_of((np.cumsum(ends) - ends) % 2)
        scored = hidden["labels"][0] >= 0
        places, ids = hidden["positions"][0][scored].tolist(), hidden["input_ids"][0].tolist()

        def around(label: int, ids=ids, places=places) -> dict:
            before, after = ids[: places[label]], ids[places[label] + 1 :]
            return {"before": tokenizer.decode(before), "after": tokenizer.decode(after)}

        labels = torch.as_tensor(hidden["labels"][0][scored]).long()
        yield Scored(folder(**inputs).logits[0, places], labels, around)


def _packed(folder: Folder, documents: list[list[str]]) -> Iterator[list[int]]:
    row = [folder.tokenizer.cls_token_id]
    for paragraphs in documents:
        parts = [[*folder.ids(text), folder.tokenizer.sep_token_id] for text in paragraphs]
        if sum(map(len, parts)) < folder.kept["max_seq_length"]:
            parts = [[token for part in parts for token in part]]
        for part in parts:
            assert len(part) < folder.kept["max_seq_length"]
            if len(row) > 1 and len(row) + len(part) > folder.kept["max_seq_length"]:
                yield row
                row = row[:1]
            row = row + part
    yield row


def next_token_rows(folder: Folder, file: Path) -> Iterator[Scored]:
    """The blocks of causal language modelling; each token is predicted once."""
    texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
    if not folder.kept["keep_linebreaks"]:
        texts = [text.replace("\n", " ") for text in texts]
    stream, size = _stream(folder, texts), folder.kept["block_size"]
    for start in range(0, len(stream) - 1, size):
        ids, labels = stream[start : start + size], stream[start + 1 : start + size + 1]

        def around(label: int, ids=ids) -> dict:
            return {"text": folder.tokenizer.decode(ids[: label + 1])}

        logits = folder(input_ids=row_of(ids[: len(labels)])).logits[0]
        yield Scored(logits, torch.tensor(labels), around)


def gapped_rows(folder: Folder, file: Path) -> Iterator[Scored]:
    """The rows of span corruption, a full one after another."""
    kept, tokenizer = folder.kept, folder.tokenizer
    names = ("max_seq_length", "mlm_probability", "mean_noise_span_length", "seed")
    corrupter = Corrupter(tokenizer, *(kept[name] for name in names))
    size = corrupter.row_length
    stream = _stream(folder, [" ".join(paragraphs) for paragraphs in _documents(file)])
    for number in range((len(stream) - 1) // size):
        ids = np.array([stream[1 + number * size :][:size]])
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        hidden = corrupter.evaluation(Batch(np.array([number]), arrays)).arrays
        source, labels = hidden["input_ids"][0], hidden["labels"][0]

        def around(label: int, source=source, labels=labels) -> dict:
            return {"text": tokenizer.decode(source), "target": tokenizer.decode(labels[:label])}

        logits = folder(input_ids=row_of(source), labels=row_of(labels)).logits[0]
        yield Scored(logits, torch.as_tensor(labels).long(), around)


def features(folder: Folder, sound: bytes) -> dict:
    """What Whisper hears of the content of an audio file."""
    samples, rate = soundfile.read(io.BytesIO(sound))
    return folder.processor(samples, sampling_rate=rate, return_tensors="pt")
