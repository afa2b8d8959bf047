"""Greedy and beam search: worked by hand on a Markov chain, and PyTorch's tokens, stored."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.four_devices import CASE
from support.markov_model import (
    END,
    PAD,
    ROUND,
    START,
    A,
    B,
    C,
    Chain,
    D,
    E,
    chain_of,
    generate,
    left_padded,
)
from support.paths import ARRAYS as ALL_ARRAYS

from stages import models
from stages.data.batching import Batches
from stages.generation import GenerationOptions, generate_rows, make_generate_step
from stages.generation.greedy import argmax_first

ARRAYS = ALL_ARRAYS / "generation"

STORED = sorted(ARRAYS.glob("*"))


def written(model, prompt=(START,), **options):
    """The tokens generated after one prompt."""
    options = {"max_new_tokens": 6, **options}
    return generate(model, left_padded([list(prompt)]), **options)[0]


# Greedy takes A (0.6) and reaches 0.6 x 0.4; the better sentence begins with B: 0.4 x 0.9.
FORK = {START: {A: 0.6, B: 0.4}, A: {C: 0.4, D: 0.35, END: 0.25}, B: {C: 0.9, END: 0.1},
        C: {END: 1}, D: {END: 1}}  # fmt: skip


def test_greedy_takes_the_best_token_and_beams_the_best_sentence():
    assert written(chain_of(FORK)) == [A, C, END]
    assert written(chain_of(FORK), num_beams=2) == [B, C, END]
    assert written(chain_of(FORK), num_beams=3) == [B, C, END]


def test_the_token_before_the_last_is_that_of_the_own_beam():
    # After C the chain ends well only if B came before it: a beam that kept the cache of the
    # other one (A C) would end in D.
    table = np.full((8, 8, 8), 1e-30)
    table[PAD, START, [A, B]] = 0.6, 0.4
    table[START, A, [C, D]] = 0.5, 0.5
    table[START, B, C] = 1
    table[B, C, END] = table[A, D, END] = 1
    table[A, C, [D, END]] = 0.9, 0.1
    table[C, D, END] = 1
    model = Chain(np.log(table))
    assert written(model) == [A, C, D, END]
    assert written(model, num_beams=2) == [B, C, END]


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        # ln 0.55 / 2^p against ln 0.45 / 4^p: -0.60 and -0.80, -0.30 and -0.20, -1.20 and -3.19
        (0.0, [A, END]),
        (1.0, [B, C, D, END]),
        (-1.0, [A, END]),
    ],
)
def test_length_penalty(penalty, expected):
    roads = {START: {A: 0.55, B: 0.45}, A: {END: 1}, B: {C: 1}, C: {D: 1}, D: {END: 1}}
    assert written(chain_of(roads), num_beams=2, length_penalty=penalty) == expected


@pytest.mark.parametrize(
    ("early_stopping", "expected"),
    [
        # Two have ended after two tokens: END (ln 0.3) and A END (ln 0.42 / 2 = -0.43).
        (True, [A, END]),
        # A D (ln 0.28 / 2 = -0.64) could still beat the worse of them, and ends with -0.42.
        (False, [A, D, END]),
    ],
)
def test_early_stopping(early_stopping, expected):
    roads = {START: {A: 0.7, END: 0.3}, A: {END: 0.6, D: 0.4}, D: {END: 1}}
    assert written(chain_of(roads), num_beams=2, early_stopping=early_stopping) == expected


@pytest.mark.parametrize(
    ("early_stopping", "expected"),
    [
        # A END (-0.60) and B END (ln 0.28 / 2 = -0.64) have ended; A D has ln 0.2 / 2 = -0.80 now,
        (False, [A, END]),
        # and at its full length of six -0.27: it continues and ends with ln 0.2 / 4 = -0.40.
        ("never", [A, D, E, END]),
    ],
)
def test_early_stopping_never(early_stopping, expected):
    roads = {START: {A: 0.5, B: 0.28, C: 0.22}, A: {END: 0.6, D: 0.4}, B: {END: 1}, C: {E: 1},
             D: {E: 1}, E: {END: 1}}  # fmt: skip
    assert written(chain_of(roads), num_beams=2, early_stopping=early_stopping) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [A, B, C, D, A, B]),
        # C D and A B must not occur twice: after D, A is still allowed; after that A, B is not.
        ({"no_repeat_ngram_size": 2}, [A, B, C, D, A, E]),
        ({"no_repeat_ngram_size": 1}, [A, B, C, D, END]),
        ({"eos_token_id": [END, C, D]}, [A, B, C]),
        ({"suppress_tokens": [C]}, [A, B, D, A, B, D]),
        ({"suppress_tokens": [C, 99]}, [A, B, D, A, B, D]),
        ({"begin_suppress_tokens": [A]}, [D, A, B, C, D, A]),
        ({"forced_bos_token_id": E}, [E, END]),
        # After a forced first token, the second counts as the first one chosen.
        ({"forced_bos_token_id": B, "begin_suppress_tokens": [C]}, [B, D, A, B, C, D]),
        ({"forced_eos_token_id": END}, [A, B, C, D, A, END]),
        ({"max_new_tokens": 2, "forced_eos_token_id": E}, [A, E]),
        ({"suppress_tokens": [B]}, [A, E, END]),
        ({"suppress_tokens": [B, END], "max_new_tokens": 2}, [A, E]),
        ({"max_new_tokens": None, "max_length": 4}, [A, B, C]),
    ],
)
def test_rules(options, expected):
    assert written(chain_of(ROUND), **options) == expected


def test_a_forced_first_token_needs_a_prompt_of_one():
    model = chain_of(ROUND)
    assert written(model, [D, START], forced_bos_token_id=E, max_new_tokens=2) == [A, B]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [A, END]),
        ({"min_new_tokens": 2}, [A, B, END]),
        ({"min_length": 3}, [A, END]),  # START and one more, and the prompt of two below
        ({"min_length": 4}, [A, B, END]),
        ({"min_length": 4, "min_new_tokens": 0}, [A, END]),
    ],
)
def test_minimum_length(options, expected):
    roads = {START: {A: 1}, A: {END: 0.9, B: 0.1}, B: {END: 0.9, A: 0.1}}
    assert written(chain_of(roads), [D, START], **options) == expected
    assert written(chain_of(roads), [D, START], num_beams=2, **options) == expected


def test_repetition_penalty():
    # Logits: the likeliest token is always A, 2.0 against B's 1.5. Halved once it is
    # there, it loses to B; when B is halved too (0.75), A (1.0) is the best again.
    table = np.full((8, 8, 8), -1.0)
    table[:, :, A], table[:, :, B] = 2.0, 1.5
    model = Chain(table)
    assert written(model, max_new_tokens=4, repetition_penalty=2.0) == [A, B, A, A]
    # Below zero it multiplies: all at -1 but the prompt's START, which falls to -2.
    table[:] = -1.0
    table[:, :, START] = -0.9
    assert written(Chain(table), max_new_tokens=1) == [START]
    assert written(Chain(table), max_new_tokens=1, repetition_penalty=2.0) == [PAD]


@pytest.mark.parametrize(
    "options",
    [
        {"no_repeat_ngram_size": 1},
        {"num_beams": 2, "no_repeat_ngram_size": 2, "repetition_penalty": 1.5},
    ],
)
def test_padding_in_the_prompt_changes_nothing(options):
    prompts = [[START], [B, C, START], [A, D, START]]
    model = chain_of(ROUND)
    step = make_generate_step(
        model, GenerationOptions.from_model(model, max_new_tokens=6, **options)
    )
    alone = [generate(model, left_padded([prompt]), step)[0] for prompt in prompts]
    left = left_padded(prompts, 5)
    right = {name: np.flip(array, 1).copy() for name, array in left.items()}
    for ids, prompt in zip(right["input_ids"], prompts, strict=True):
        ids[: len(prompt)] = prompt
    assert generate(model, left, step) == alone
    assert generate(model, right, step) == alone


def counted(monkeypatch):
    """Count the steps that are run, not those that are compiled."""
    calls, decode = [], Chain.decode

    def counting(self, ids, cache, mask=None):
        jax.debug.callback(lambda: calls.append(ids.shape[0]))
        return decode(self, ids, cache, mask)

    monkeypatch.setattr(Chain, "decode", counting)
    return calls


@pytest.mark.parametrize("beams", [1, 2])
def test_it_stops_with_the_last_real_row(monkeypatch, beams):
    roads = {START: {A: 1}, A: {B: 1}, B: {END: 1}, D: {E: 1}, E: {D: 1}, C: {END: 1}}
    model, calls = chain_of(roads), counted(monkeypatch)
    batch = left_padded([[START], [C], [D]])
    batch["row_mask"] = np.array([1, 1, 0], np.float32)
    options = {"num_beams": beams, "max_new_tokens": 20, "early_stopping": True}
    assert generate(model, batch, **options) == [[A, B, END], [END], []]
    jax.effects_barrier()
    # A row of two beams continues until a second one has ended, along unlikely paths.
    assert len(calls) == 3 if beams == 1 else 3 < len(calls) < 20
    batch["row_mask"][:] = 1
    assert [len(row) for row in generate(model, batch, **options)] == [3, 1, 20]
    jax.effects_barrier()


def test_rows_come_in_order_and_each_shape_is_compiled_once():
    rng = np.random.default_rng(0)
    lengths = {START: 1, A: 10, B: 4, C: 13, D: 2, E: 3}
    prompts = [[*rng.integers(2, 7, length - 1), last] for last, length in lengths.items()]
    columns = {
        "input_ids": [np.array(prompt, np.int32) for prompt in prompts],
        "attention_mask": [np.ones(len(prompt), np.int32) for prompt in prompts],
    }
    model = chain_of(ROUND)
    options = GenerationOptions.from_model(model, max_new_tokens=5, no_repeat_ngram_size=2)
    expected = generate(model, left_padded(prompts), max_new_tokens=5, no_repeat_ngram_size=2)
    assert len({tuple(row) for row in expected}) == len(prompts)
    step = make_generate_step(model, options)
    for size in (2, 3):
        batches = Batches(columns, padding={}, batch_size=size, buckets=2)
        rows = generate_rows(step, model, batches)
        assert [row.tolist() for row in rows] == expected
        assert all(row.dtype == np.int32 and row.ndim == 1 for row in rows)
    assert step._cache_size() == 4  # two sizes, two lengths; the short last batch is none more


def test_four_devices_write_the_same(four_devices):
    family, name = CASE
    case = json.loads((ARRAYS / family / "cases.json").read_text())[name]
    assert json.loads((four_devices("parts") / "rows.json").read_text()) == case["rows"]


def test_first_best_is_argmax():
    scores = np.random.default_rng(0).integers(0, 5, (50, 9)).astype(np.float32)
    scores[0] = -np.inf
    scores[1, :8] = -np.inf
    assert np.array_equal(argmax_first(jnp.asarray(scores)), scores.argmax(1))


# PyTorch's tokens

HEADS = {"gpt2": "causal_lm", "t5": "seq2seq_lm", "whisper": "speech_seq2seq"}


@pytest.mark.parametrize(
    "folder",
    [
        folder if folder.name in ("gpt2", "t5") else pytest.param(folder, marks=pytest.mark.slow)
        for folder in STORED
    ],
    ids=[folder.name for folder in STORED],
)
def test_stored_tokens_of_pytorch(folder):
    config = models.load_config(folder)
    model = models.from_pretrained(folder, HEADS[config.model_type])
    batch = dict(np.load(folder / "inputs.npz"))
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        rows = generate(model, batch, **{"max_new_tokens": 20, **case["options"]})
        assert rows == case["rows"], name


def test_stored_tokens_are_there():
    assert [folder.name for folder in STORED] == [
        "flan_t5", "gpt2", "t5", "whisper", "whisper_multilingual",
    ]  # fmt: skip
