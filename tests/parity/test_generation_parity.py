"""The same tokens as PyTorch's `generate`, under many options, on random models of every family.

Needs torch (group `parity`): `pytest -m parity`.
"""

import random

import jax
import numpy as np
import pytest

pytest.importorskip("torch", reason="the comparison with PyTorch needs torch: group `parity`")

from flax import nnx
from parity.make_generation_arrays import END, KINDS, cases_of, inputs, torch_model, torch_tokens

from stages import models
from stages.generation import GenerationOptions, make_generate_step

pytestmark = pytest.mark.parity
HEADS = {"gpt2": "causal_lm", "t5": "seq2seq_lm", "whisper": "speech_seq2seq"}


def both(kind: str, seed: int | None, folder):
    """The same random weights in PyTorch and here."""
    theirs = torch_model(kind, seed)
    theirs.save_pretrained(folder)
    return theirs, models.from_pretrained(folder, HEADS[theirs.config.model_type])


def our_tokens(model, values, options) -> list[list[int]]:
    step = make_generate_step(
        model, GenerationOptions.from_model(model, **{"max_new_tokens": 20, **options})
    )
    out = jax.device_get(step(nnx.state(model), values))
    pairs = zip(out["sequences"], out["lengths"], strict=True)
    return [ids[:length].tolist() for ids, length in pairs]


@pytest.mark.parametrize(
    ("kind", "case"), [(kind, case) for kind in KINDS for case in cases_of(kind)]
)
def test_tokens(kind, case, tmp_path, page):
    theirs, ours = both(kind, None, tmp_path)
    values, options = inputs(kind), cases_of(kind)[case]
    page.tokens(kind, our_tokens(ours, values, options), torch_tokens(theirs, values, options))


def some_options(kind: str, draw: random.Random) -> dict:
    """A few options drawn by chance."""
    choices = {
        "no_repeat_ngram_size": (2, 3, 4),
        "min_new_tokens": (2, 5, 9),
        "repetition_penalty": (0.8, 1.3, 3.0),
        "suppress_tokens": ([4, 5, 6, 7, 8], [3, 13, 23, 33]),
        "begin_suppress_tokens": ([10, 11, 12, 13, 14, 15], list(range(20, 30))),
        "eos_token_id": ([END, 4, 12, 20, 37], [6, 16, 26]),
        "forced_eos_token_id": (END, 9),
        "max_new_tokens": (1, 2, 13),
    }
    beams = {
        "length_penalty": (-1.0, 0.0, 0.6, 2.0, 5.0),
        "early_stopping": (True, "never"),
    }
    if kind.startswith("whisper"):
        # With several ends transformers fails on a row that ends at once.
        del choices["eos_token_id"]
    options = {}
    if draw.random() < 0.7:
        options["num_beams"] = draw.choice((2, 3, 5, 7))
        choices |= beams
    for name, values in choices.items():
        if draw.random() < 0.4:
            options[name] = draw.choice(values)
    return options


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_under_options_drawn_by_chance(kind, seed, tmp_path, page):
    theirs, ours = both(kind, 100 + seed, tmp_path)
    values = inputs(kind, seed)
    options = some_options(kind, random.Random(f"{kind} {seed}"))
    print(f"{kind} {seed}: {options}")  # shown where it fails
    page.tokens(kind, our_tokens(ours, values, options), torch_tokens(theirs, values, options))


def test_a_decoder_prompt_of_several_tokens(tmp_path):
    theirs, ours = both("t5", None, tmp_path)
    prompt = np.array([[0, 9, 5], [0, 8, 5], [0, 9, 4], [0, 7, 7]], np.int32)
    values = {**inputs("t5"), "decoder_input_ids": prompt}
    for options in ({}, {"num_beams": 3, "no_repeat_ngram_size": 2}):
        expected = torch_tokens(theirs, values, options)
        assert our_tokens(ours, values, options) == [row[2:] for row in expected]
