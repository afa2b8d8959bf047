"""What flaxmill wrote of fifty rows, held to what PyTorch predicts: a function a task."""

import csv
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import torch
from parity import torch_predictions as reference
from parity.torch_predictions import Folder, Scored, row_of
from support import scripts
from torch.nn.functional import cross_entropy

ROWS = 50
TOLERANCE = 1e-4
# Of a mean over all rows, which hides what differs in one.
LOSS_TOLERANCE = 1e-5
# The hardest tokens are written with four places of their loss.
ROUNDED = 5.1e-5


class Comparison:
    """The largest difference of a score, and how many choices were near ties."""

    def __init__(self):
        self.worst, self.ties = 0.0, 0

    def same(self, ours, theirs, tolerance: float = TOLERANCE) -> None:
        """Compare two scores, or lists of them."""
        ours, theirs = (torch.as_tensor(one, dtype=torch.float64) for one in (ours, theirs))
        assert ours.shape == theirs.shape
        difference = (ours - theirs).abs().max().item()
        assert difference <= tolerance, f"a score differs by {difference:.1e}"
        self.worst = max(self.worst, difference)

    def loss(self, ours: float, theirs: list[torch.Tensor]) -> None:
        """Compare a mean loss with the single ones."""
        self.same(ours, sum(theirs) / len(theirs), LOSS_TOLERANCE)

    def chosen(self, scores, choice: int) -> None:
        """Refuse a choice that PyTorch's scores [choices] put behind another."""
        scores = torch.as_tensor(scores, dtype=torch.float64)
        behind = (scores.max() - scores[choice]).item()
        assert behind <= TOLERANCE, f"the choice {choice} is {behind:.1e} behind the best"
        self.ties += behind > 0

    def written(self, folder: Folder, inputs: dict, text: str, most: int) -> list[int]:
        """Compare a text with the one that PyTorch writes, at most `most` tokens; gives these.

        Another text must be what greedy search writes, but for near ties.
        """
        ids = folder.write(inputs, most)
        if folder.decode(ids) != text:
            assert (folder.kept.get("num_beams") or 1) == 1
            tokens = [*folder.ids(text), folder.tokenizer.eos_token_id][:most]
            self.greedy(folder, inputs, tokens)
        return ids

    def greedy(self, folder: Folder, inputs: dict, tokens: list[int]) -> None:
        """Refuse tokens of which one is not the best behind those before it."""
        for scores, token in zip(folder.following(inputs, tokens), tokens, strict=True):
            self.chosen(scores, token)


def rows_of(file: Path) -> list[dict]:
    """The first rows of a test file."""
    if file.suffix == ".csv":
        with file.open(newline="") as lines:
            return list(islice(csv.DictReader(lines), ROWS))
    if file.suffix == ".parquet":
        return pq.read_table(file).slice(0, ROWS).to_pylist()
    return [json.loads(line) for line in file.read_text().splitlines()[:ROWS]]


def glue(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
    """The class of each row and its probability."""
    names = folder.model.config.label2id
    ours = scripts.json_lines(out / "eval_predictions.json")
    for row, our in zip(rows_of(file), ours, strict=True):
        probabilities = reference.classes(folder, row)
        choice = names[our["prediction"]]
        check.chosen(probabilities, choice)
        check.same(our["probability"], probabilities[choice])


def ner(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
    """The tag of each word, and the loss of the right ones."""
    names = folder.model.config.label2id
    ours = scripts.json_lines(out / "eval_predictions.json")
    losses = []
    for row, our in zip(rows_of(file), ours, strict=True):
        assert our["tokens"] == row["tokens"]
        scores = reference.tags(folder, row["tokens"])
        for word, tag, right in zip(scores, our["predictions"], row["ner_tags"], strict=True):
            check.chosen(word, names[tag])
            losses.append(-word[names[right]])
    check.loss(scripts.results(out)["eval_loss"], losses)


def qa(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
    """Answer or none, all candidates, and how far no answer is ahead."""
    answers, nbest, odds = (
        json.loads((out / f"eval_{name}.json").read_text())
        for name in ("predictions", "nbest_predictions", "null_odds")
    )
    rows = rows_of(file)
    assert list(answers) == list(nbest) == list(odds) == [row["id"] for row in rows]
    for row in rows:
        found, null = reference.spans(folder, row["question"], row["context"])
        found.sort(key=lambda span: -span.score)
        best = {}
        for span in found:
            if span.ranked:
                best.setdefault(span.place, span)
        best = list(best.values())[: folder.kept["n_best_size"]]
        _candidates(nbest[row["id"]], found, best, null, check)
        ahead = sum(null) - best[0].score
        check.same(odds[row["id"]], ahead)
        answer, limit = answers[row["id"]], folder.kept["null_score_diff_threshold"]
        check.chosen([ahead, limit], 1 if answer else 0)
        if answer:
            texts = [span.text for span in best]
            check.chosen([span.score for span in best], texts.index(answer))


def _candidates(ours: list[dict], found: list, best: list, null: tuple, check) -> None:
    """Scores and probabilities by rank, and each one's logits, which are those of its text."""
    scores = sorted([sum(null), *(span.score for span in best)], reverse=True)
    check.same([one["start_logit"] + one["end_logit"] for one in ours], scores)
    probabilities = torch.tensor(scores, dtype=torch.float64).softmax(-1)
    check.same([one["probability"] for one in ours], probabilities)
    for one in ours:
        start, end = one["start_logit"], one["end_logit"]
        same = [(span.start, span.end) for span in found if span.text == one["text"]]
        if not one["text"]:
            same.append(null)
        nearest = min(same, key=lambda pair: max(abs(pair[0] - start), abs(pair[1] - end)))
        check.same([start, end], nearest)


def language(rows: Callable[[Folder, Path], Iterator[Scored]]) -> Callable[..., None]:
    """What compares a language model; `rows(folder, file)` gives `Scored`."""

    def compare(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
        """Loss, perplexity and accuracy of all labels, and the hardest one of each row."""
        ours, results = scripts.json_lines(out / "eval_predictions.json"), scripts.results(out)
        losses, leads, labels = [], [], []
        for our, row in zip(ours, islice(rows(folder, file), ROWS), strict=True):
            losses.append(cross_entropy(row.logits.double(), row.labels, reduction="none"))
            right = row.labels[:, None]
            others = row.logits.scatter(1, right, -torch.inf).max(-1).values
            leads.append(row.logits.gather(1, right)[:, 0] - others)
            labels.append(row.labels)
            _hardest(folder, our, row, losses[-1], check)
        loss, leads, labels = (torch.cat(parts) for parts in (losses, leads, labels))
        check.loss(results["eval_loss"], list(loss))
        check.same(results["eval_perplexity"], loss.mean().exp())
        special = torch.isin(labels, torch.tensor(folder.tokenizer.all_special_ids))
        for name, of in (("eval_accuracy", labels >= 0), ("eval_content_accuracy", ~special)):
            if name in results:
                # As many are right as lead by more than a near tie, or some that nearly do.
                hits = results[name] * of.sum().item()
                assert (leads[of] > TOLERANCE).sum() - 0.5 < hits
                assert hits < (leads[of] >= -TOLERANCE).sum() + 0.5

    return compare


def _hardest(folder: Folder, our: dict, row: Scored, losses: torch.Tensor, check) -> None:
    """Our hardest label of a row: its loss, the texts around it, and what is likeliest there."""
    decode = folder.tokenizer.decode
    assert abs(our["loss"] - losses.max()) <= TOLERANCE + ROUNDED
    said = {name: text for name, text in our.items() if name not in ("loss", "prediction")}
    places = (losses >= losses.max() - TOLERANCE).nonzero()[:, 0].tolist()
    texts = [{**row.around(place), "label": decode([row.labels[place]])} for place in places]
    scores = row.logits[places[texts.index(said)]]
    alike = [token for token in scores.topk(5).indices if decode([token]) == our["prediction"]]
    check.chosen(scores, alike[0])


def summarization(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
    """Each summary, the number of their tokens, and the loss of the true ones."""
    kept, tokenizer = folder.kept, folder.tokenizer
    most = kept["val_max_target_length"] or kept["max_target_length"]
    ours = scripts.json_lines(out / "predictions.json")
    losses, lengths, results = [], [], scripts.results(out, "test")
    for row, our in zip(rows_of(file), ours, strict=True):
        text = (kept["source_prefix"] or "") + row["document"]
        inputs = tokenizer(
            text, truncation=True, max_length=kept["max_source_length"], return_tensors="pt"
        )
        # `max_length` counts the start.
        lengths.append(len(check.written(folder, inputs, our["prediction"], most - 1)))
        labels = tokenizer(row["summary"], truncation=True, max_length=most)["input_ids"]
        losses += _losses(folder, inputs, labels)
    check.loss(results["test_loss"], losses)
    if not check.ties:
        check.same(results["test_gen_len"], sum(lengths) / len(lengths))


def speech(folder: Folder, file: Path, out: Path, check: Comparison) -> None:
    """Each transcript, and the loss of the true ones."""
    ours, losses = scripts.json_lines(out / "eval_predictions.json"), []
    positions = folder.model.config.max_target_positions
    for row, our in zip(rows_of(file), ours, strict=True):
        inputs = reference.features(folder, row["audio"]["bytes"])
        prompt = folder.prompt(inputs)
        most = min(folder.kept["max_label_length"], positions - len(prompt))
        check.written(folder, inputs, our["prediction"], most)
        # All of its prompt but the start counts as written.
        labels = folder.tokenizer(row["text"].lower())["input_ids"][1:]
        losses += _losses(folder, inputs, labels)
    check.loss(scripts.results(out)["eval_loss"], losses)


def _losses(folder: Folder, inputs: dict, labels: list[int]) -> list[torch.Tensor]:
    """The loss of each label."""
    logits = folder(**inputs, labels=row_of(labels)).logits[0].double()
    return list(cross_entropy(logits, torch.tensor(labels), reduction="none"))


COMPARE = {
    "mlm": language(reference.masked_rows),
    "glue": glue,
    "ner": ner,
    "qa": qa,
    "clm": language(reference.next_token_rows),
    "t5_mlm": language(reference.gapped_rows),
    "summarization": summarization,
    "speech": speech,
}
