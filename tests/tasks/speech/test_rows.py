"""Labels, and the limits that rows keep."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.data.cache import RowCache
from stages.data.encode import Encoder
from stages.data.views import Mapped
from stages.tasks.speech.examples import read_examples
from stages.tasks.speech.features import Features
from stages.tasks.speech.rows import encode_labels, select_rows


def test_labels_are_prompt_text_and_end(beginning):
    tokenizer = AutoTokenizer.from_pretrained(beginning)
    ids = tokenizer.convert_tokens_to_ids
    start, low, mid = ids("<|startoftranscript|>"), ids("\u0120low"), ids("\u0120mid")
    found = encode_labels(Encoder(tokenizer), ["low mid", "mid"], (start, 7, 8))
    assert [row.tolist() for row in found] == [
        [7, 8, low, mid, ids("<|endoftext|>")],
        [7, 8, mid, ids("<|endoftext|>")],
    ]
    with pytest.raises(InputError, match="the model is multilingual; name what is spoken"):
        encode_labels(Encoder(tokenizer), ["low"], (start, None, 8))


def test_labels_are_made_once(beginning, tmp_path, clips, monkeypatch):
    encoder = Encoder(AutoTokenizer.from_pretrained(beginning))
    texts, cache = read_examples(clips).texts, RowCache(tmp_path)
    first = encode_labels(encoder, texts, (1, 7), cache)

    def never(*_, **__):
        raise AssertionError("made again")

    monkeypatch.setattr(Encoder, "encode_all", never)
    assert encode_labels(encoder, read_examples(clips).texts, (1, 7), cache) == first
    for others, prompt in (
        (texts, (1, 8)),
        (read_examples(clips, lower_case=True).texts, (1, 7)),
        (list(texts), (1, 7)),  # which nothing identifies
    ):
        with pytest.raises(AssertionError):
            encode_labels(encoder, others, prompt, cache)


def limited(clips, seconds, labels=None, **limits):
    examples = read_examples(clips).first(len(seconds))
    arrays = np.zeros((len(seconds), 2, 100), np.float32)
    arrays[..., ::2] = 1.0  # loudness changes
    limits = {"shortest": 0.0, "longest": 20.0, "heard": 4.0, "most_tokens": 5, **limits}
    return select_rows(examples, Features(arrays, np.array(seconds)), labels, **limits)


def test_rows_within_the_limits(clips):
    labels = [np.arange(length) for length in (3, 3, 6, 5, 3)]
    rows = limited(clips, [1.0, 4.5, 2.0, 4.0, 0.2], labels, shortest=0.5)
    assert rows.kept.tolist() == [0, 3]
    assert rows.refused == {
        1: "4.50 s of audio, more than 4",
        2: "a transcript of 6 tokens, more than 5",
        4: "0.20 s of audio, less than 0.5",
    }
    assert rows.refusals()[0].endswith(
        "metadata.jsonl, line 2 (1.wav): 4.50 s of audio, more than 4"
    )
    assert rows.columns["frames"].tolist() == [25, 100]
    assert [len(row) for row in rows.columns["labels"]] == [3, 5]
    assert len(rows.texts()) == 2
    assert limited(clips, [3.0, 1.0], longest=2.5).refused == {0: "3.00 s of audio, more than 2.5"}
    without = limited(clips, [1.0, 2.0])
    assert [row.tolist() for row in without.columns["labels"]] == [[IGNORE_INDEX], [IGNORE_INDEX]]
    with pytest.raises(InputError, match=r"5.00 s of audio, more than 4, and no other clip"):
        limited(clips, [5.0])


def test_kept_rows_are_views_of_what_all_have(clips):
    read = []
    labels = Mapped([np.arange(3)] * 4, lambda row: read.append(1) or row, "")
    labels.lengths = np.array([3, 9, 3, 3])
    rows = limited(clips, [1.0, 1.0, 1.0, 9.0], labels)
    assert rows.kept.tolist() == [0, 2]
    assert read == []
    columns = rows.columns
    assert columns["labels"].lengths.tolist() == [3, 3]
    assert (len(columns["labels"][1]), read) == (3, [1])
    assert columns["input_features"][1].shape == (2, 100)
    assert columns["input_features"][1].base is not None
