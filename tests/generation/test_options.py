"""Generation options: what overrides what, what is refused, how many tokens are new."""

import dataclasses
import logging
from types import SimpleNamespace

import pytest
from support.markov_model import END, ROUND, START, chain_of, generate, left_padded

from stages.core.errors import InputError
from stages.generation import GenerationOptions


def test_overrides_go_before_the_generation_config():
    model = chain_of(
        ROUND, num_beams=4, max_new_tokens=7, min_new_tokens=2, length_penalty=2.0,
        suppress_tokens=[3], eos_token_id=[1, 5],
    )  # fmt: skip
    options = GenerationOptions.from_model(model)
    assert options == GenerationOptions(
        num_beams=4, max_new_tokens=7, min_new_tokens=2, length_penalty=2.0, suppress_tokens=(3,),
        eos_token_id=(1, 5), pad_token_id=0,
    )  # fmt: skip
    changed = GenerationOptions.from_model(
        model, num_beams=1, max_length=9, min_length=3, length_penalty=None
    )
    assert changed == dataclasses.replace(
        options, num_beams=1, max_length=9, max_new_tokens=None, min_length=3, min_new_tokens=None
    )
    assert GenerationOptions.from_model(chain_of(ROUND, pad_token_id=None)).pad_token_id == END
    with pytest.raises(TypeError, match="num_beam"):
        GenerationOptions.from_model(model, num_beam=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bad_words_ids": [[3]]}, "bad_words_ids is [[3]] in the generation config"),
        ({"renormalize_logits": True}, "renormalize_logits is True"),
        ({"eos_token_id": 8}, "eos_token_id: 8 is not in the vocabulary of 8"),
        ({"pad_token_id": 9, "eos_token_id": None}, "pad_token_id: 9"),
        ({"num_beams": 0}, "num_beams is 0; give a whole number of at least 1"),
        ({"num_beams": "4"}, "num_beams is '4'; give a whole number"),
        ({"length_penalty": "long"}, "length_penalty is 'long'; give a number"),
        ({"repetition_penalty": -1.0}, "repetition_penalty is -1.0; give more than 0"),
        ({"early_stopping": "always"}, "early_stopping is 'always'"),
        ({"max_length": 1}, "max_length 1 leaves nothing to generate after a prompt of 1"),
        ({"max_new_tokens": 32}, "more than the model's 32 positions"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_done_is_refused_by_name(settings, message):
    model = chain_of(ROUND)
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    with pytest.raises(InputError) as error:
        generate(model, left_padded([[START]]))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_left_aside_is_said_in_one_line(caplog):
    model = chain_of(ROUND, do_sample=True, top_k=5, temperature=0.5)
    with caplog.at_level(logging.WARNING):
        GenerationOptions.from_model(model)
    assert [record.getMessage() for record in caplog.records] == [
        "generation config: do_sample=True is ignored: tokens are not sampled here but chosen "
        "by greedy or beam search"
    ]


def test_lengths_follow_the_model():
    whisper = SimpleNamespace(model_type="whisper", max_target_positions=32)
    t5 = SimpleNamespace(model_type="t5")
    gpt2 = SimpleNamespace(model_type="gpt2", max_position_embeddings=24)
    assert GenerationOptions(max_length=10).new_tokens(4, t5) == 6
    assert GenerationOptions(max_length=10).new_tokens(4, whisper) == 10
    assert GenerationOptions(max_length=448).new_tokens(4, whisper) == 28
    assert GenerationOptions().new_tokens(4, t5) == 20
    assert GenerationOptions().new_tokens(10, gpt2) == 14
    assert GenerationOptions(max_length=10, max_new_tokens=3).new_tokens(4, t5) == 3
