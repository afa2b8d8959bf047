"""Tokens in batches: those that the tokenizer of transformers gives."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support.toy_tokenizers import letter_tokenizer, word_tokenizer

from stages.core.errors import InputError
from stages.data import encode
from stages.data.encode import Encoder, encode_columns, encode_ids, token_columns
from stages.data.writer import CHUNK, build_store

TEXTS = ["ab c", "", "abcabc de", "c"]
PAIRS = [("ab", "c d e"), ("abc", ""), ("a b c d", "e a b c")]


def segmented():
    """A tokenizer that gives the segment of each token too."""
    tokenizer = letter_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return segmented()


def ids(encodings):
    return [one.ids for one in encodings]


@pytest.mark.parametrize("side", ["right", "left"])
def test_as_transformers_gives_them(side):
    tokenizer = segmented()
    tokenizer.truncation_side = side
    encoder = Encoder(tokenizer)
    cut = {"truncation": "longest_first", "max_length": 6}
    first, second = zip(*PAIRS, strict=True)
    assert ids(encoder.encode(TEXTS)) == tokenizer(TEXTS)["input_ids"]
    assert ids(encoder.encode(TEXTS, **cut)) == tokenizer(TEXTS, **cut)["input_ids"]
    plain = tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    assert ids(encoder.encode(TEXTS, special_tokens=False)) == plain
    pairs = encoder.encode(PAIRS, **cut)
    expected = tokenizer(list(first), list(second), **cut)
    assert ids(pairs) == expected["input_ids"]
    assert [one.type_ids for one in pairs] == expected["token_type_ids"]
    words = [["ab", "c"], ["d"]]
    expected = tokenizer(words, is_split_into_words=True)
    assert ids(encoder.encode(words, words=True)) == expected["input_ids"]


def test_windows_as_transformers_gives_them(tokenizer):
    encoder = Encoder(tokenizer)
    options = {"truncation": "only_second", "max_length": 8, "stride": 2}
    question, context = "ab", "a b c d e a b c d e"
    (first,) = encoder.encode([(question, context)], **options)
    expected = tokenizer(
        [question], [context], return_overflowing_tokens=True, return_offsets_mapping=True,
        **options,
    )  # fmt: skip
    found = [first, *first.overflowing]
    assert ids(found) == expected["input_ids"]
    assert [list(map(tuple, one.offsets)) for one in found] == expected["offset_mapping"]


def test_the_tokenizer_keeps_no_trace(tokenizer):
    before = tokenizer.backend_tokenizer.to_str()
    Encoder(tokenizer).encode(TEXTS, truncation="longest_first", max_length=4)
    assert tokenizer.backend_tokenizer.to_str() == before
    tokenizer(TEXTS, truncation=True, max_length=4)
    same = Encoder(tokenizer)
    assert same.fingerprint == Encoder(segmented()).fingerprint
    assert ids(same.encode(["abcabc de"])) == tokenizer(["abcabc de"])["input_ids"]


def test_fingerprint():
    def of(change):
        tokenizer = segmented()
        change(tokenizer)
        return Encoder(tokenizer).fingerprint

    changes = [
        lambda one: None,
        lambda one: setattr(one, "truncation_side", "left"),
        lambda one: one.add_tokens(["zz"]),
        lambda one: setattr(one, "model_input_names", ["input_ids"]),
    ]
    assert len(set(map(of, changes))) == len(changes)
    assert of(changes[0]) == of(changes[0])


def test_all_rows_in_order(tokenizer):
    texts = [TEXTS[row % 4] + " a" * (row % 7) for row in range(2 * CHUNK + 5)]
    encoder = Encoder(tokenizer)

    def build(writer):
        for columns in encoder.encode_all(texts, len(texts), encode_columns):
            writer.write(columns)

    columns = token_columns(build_store(build))
    assert columns["input_ids"] == tokenizer(texts)["input_ids"]
    assert columns["token_type_ids"] == tokenizer(texts)["token_type_ids"]
    assert columns["attention_mask"] == tokenizer(texts)["attention_mask"]
    assert columns["input_ids"][0].dtype == np.uint16


def test_large_vocabularies_get_larger_numbers():
    tokenizer = word_tokenizer()
    assert Encoder(tokenizer).dtype == np.uint16
    tokenizer.add_tokens([f"w{number}" for number in range(2**16)])
    encoder = Encoder(tokenizer)
    assert encoder.dtype == np.int32
    (one,) = encoder.encode(["w65535"])
    assert max(one.ids) > 2**16
    column = encoder.columns([one])["input_ids"]
    assert column[0].as_py() == one.ids


def test_no_segments_where_the_model_takes_none():
    tokenizer = word_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    encoder = Encoder(tokenizer)
    assert list(encoder.columns(encoder.encode(["a"]))) == ["input_ids"]


def test_an_error_of_the_rows_is_passed_on(tokenizer):
    def rows():
        yield "a"
        raise ValueError("row 2")

    with pytest.raises(ValueError, match="row 2"):
        list(Encoder(tokenizer).encode_all(rows(), 2, encode_ids))


@pytest.fixture
def processes(monkeypatch):
    """Two processes for any number of rows."""
    monkeypatch.setattr(encode, "ROWS_FOR_PROCESSES", 1)
    monkeypatch.setenv("RAYON_NUM_THREADS", "2")


def test_in_processes_the_same_in_order(tokenizer, processes):
    texts = [f"ab c {'a' * (row % 7)}" for row in range(3 * CHUNK + 5)]
    encoder = Encoder(tokenizer)
    chunks = encoder.encode_all(texts, len(texts), process_and_ids)
    found, numbers = zip(*chunks, strict=True)
    assert [row for chunk in found for row in chunk] == tokenizer(texts)["input_ids"]
    assert [len(chunk) for chunk in found] == [CHUNK, CHUNK, CHUNK, 5]
    assert os.getpid() not in numbers
    assert len(set(numbers)) <= 2


def process_and_ids(encoder, chunk):
    return encode_ids(encoder, chunk), os.getpid()


def test_one_process_works_in_a_thread(tokenizer, processes, monkeypatch):
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    (process,) = Encoder(tokenizer).encode_all(["a"], 1, lambda *_: os.getpid())
    assert process == os.getpid()


def refuse(encoder, chunk):
    raise InputError(f"row {chunk[0]}: no")


def test_what_a_process_refuses_is_refused_here(tokenizer, processes):
    with pytest.raises(InputError, match=r"^row a: no$"):
        list(Encoder(tokenizer).encode_all(["a"], 1, refuse))


def die(encoder, chunk):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_line(tokenizer, processes):
    with pytest.raises(InputError, match="a process that works on rows was killed, perhaps for"):
        list(Encoder(tokenizer).encode_all(["a"], 1, die))


def test_processes_end_with_whoever_needs_no_more(tokenizer, processes):
    texts = ["ab c"] * (9 * CHUNK)
    chunks = Encoder(tokenizer).encode_all(texts, len(texts), process_and_ids)
    _, process = next(chunks)
    chunks.close()
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("still there")


def test_few_rows_are_held_at_a_time(tokenizer, processes):
    taken = []

    def rows():
        for row in range(30 * CHUNK):
            taken.append(row)
            yield "a"

    chunks = Encoder(tokenizer).encode_all(rows(), 30 * CHUNK, process_and_ids)
    next(chunks)
    assert len(taken) <= 6 * CHUNK
    chunks.close()


MAIN = """
import time
from stages.data.worker_processes import in_processes

for number in in_processes(time.sleep, iter(lambda: 0.05, None), 2):
    print("working", flush=True)
"""


def test_processes_end_when_the_main_one_is_killed():
    """Also where they have something to say: nobody empties the pipe any more."""
    main = subprocess.Popen([sys.executable, "-c", MAIN], stdout=subprocess.PIPE, text=True)
    assert main.stdout.readline() == "working\n"
    main.kill()
    # They have its standard output too: it ends with the last of them.
    reader = threading.Thread(target=main.stdout.read, daemon=True)
    reader.start()
    reader.join(timeout=20)
    assert not reader.is_alive()
    main.wait()
