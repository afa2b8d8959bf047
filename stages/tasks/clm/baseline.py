"""Telling the next token from the two before it, by counts."""

import math
from collections import Counter, defaultdict

import numpy as np

from stages.data.encode import Encoder
from stages.tasks.text.counts import frequencies, smooth
from stages.tasks.text.documents import language_metrics, token_bytes, without_linebreaks
from stages.tasks.text.tokens import file_tokens


def measure(
    folder: str, tokenizer: str, *, keep_linebreaks: bool = True
) -> dict[str, dict[str, float]]:
    """`unigram` knows frequencies, `trigram` what followed the two tokens before.

    `trigram` is backed off to what followed the last one, and this to the frequencies. The tokens
    are all those that a model of the same tokenizer is scored on, the ends of documents among
    them; the lines of a document stay lines if `keep_linebreaks` says so.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    encoder = Encoder(tokenizer)
    train, test = (
        file_tokens(
            encoder, f"{folder}/{split}.json", None if keep_linebreaks else without_linebreaks
        )
        for split in ("train", "test")
    )
    unigram = frequencies([train], len(tokenizer))
    pairs: defaultdict = defaultdict(Counter)
    triples: defaultdict = defaultdict(Counter)
    end = tokenizer.eos_token_id
    for before, last, token in _contexts(train, end):
        pairs[last][token] += 1
        triples[before, last][token] += 1
    scores: dict[str, list[tuple[float, bool]]] = {"unigram": [], "trigram": []}
    for before, last, token in _contexts(test, end):
        trigram = smooth(triples[before, last], smooth(pairs[last], unigram))
        for name, guess in (("unigram", unigram), ("trigram", trigram)):
            scores[name].append((-math.log(guess[token]), guess.argmax() == token))
    scored_bytes = float(token_bytes(tokenizer, blanks=True)[test].sum())
    result = {}
    for name, entries in scores.items():
        total, hits = np.sum(entries, axis=0, dtype=np.float64)
        metrics = language_metrics(float(total), len(test), float(hits), scored_bytes)
        result[name] = {key: metrics[key] for key in metrics if key != "eval_loss"}
    return result


def _contexts(stream: np.ndarray, end: int):
    """Each token of the stream with the two before it; the first one stands behind an end."""
    before = [end, end, *stream.tolist()]
    return zip(before, before[1:], before[2:], strict=False)
