"""The tokens that a decoder begins with, Whisper's above all."""

from types import SimpleNamespace

import pytest
from support.markov_model import ROUND, chain_of

from stages.core.errors import InputError
from stages.generation import GenerationOptions
from stages.generation.prompt import decoder_prompt

ENGLISH = {"is_multilingual": False, "no_timestamps_token_id": 9}

MANY = {
    "is_multilingual": True,
    "no_timestamps_token_id": 9,
    "lang_to_id": {"<|en|>": 2, "<|de|>": 3},
    "task_to_id": {"translate": 4, "transcribe": 5},
}


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        (ENGLISH, {}, (1, 9)),
        ({"is_multilingual": False}, {}, (1,)),
        ({**ENGLISH, "forced_decoder_ids": [[1, 9]]}, {}, (1, 9)),
        (MANY, {"language": "german"}, (1, 3, 5, 9)),
        (MANY, {"language": "de", "task": "translate"}, (1, 3, 4, 9)),
        (MANY, {"language": "<|en|>"}, (1, 2, 5, 9)),
        (MANY, {}, (1, None, 9)),
        (MANY, {"task": "transcribe"}, (1, None, 5, 9)),
        ({**MANY, "forced_decoder_ids": [[1, None], [2, 5]]}, {}, (1, None, 5, 9)),
        ({**MANY, "forced_decoder_ids": [[1, 2], [2, 5]]}, {}, (1, 2, 5, 9)),
        ({**MANY, "forced_decoder_ids": [[1, 2], [2, 5]]}, {"language": "de"}, (1, 3, 5, 9)),
        ({**MANY, "language": "en", "task": "translate"}, {}, (1, 2, 4, 9)),
        ({**MANY, "language": "en", "task": "translate"}, {"language": "de"}, (1, 3, 4, 9)),
    ],
)
def test_whisper_prompt(settings, given, expected):
    config = SimpleNamespace(model_type="whisper")
    given = {"language": None, "task": None, **given}
    prompt, languages = decoder_prompt(config, SimpleNamespace(**settings), 1, **given)
    assert prompt == expected
    assert languages == ((2, 3) if None in expected else ())


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        (ENGLISH, {"language": "en"}, "English-only; leave language out"),
        (ENGLISH, {"task": "translate"}, "English-only; leave task out"),
        (MANY, {"language": "french"}, "language 'french' is not one of the model's: de, en"),
        (MANY, {"task": "sing"}, "task 'sing' is not one of the model's: transcribe, translate"),
        ({**MANY, "forced_decoder_ids": [[2, 5]]}, {}, "are not at positions 1, 2"),
    ],
)
def test_whisper_prompt_refused(settings, given, message):
    config = SimpleNamespace(model_type="whisper")
    given = {"language": None, "task": None, **given}
    with pytest.raises(InputError) as error:
        decoder_prompt(config, SimpleNamespace(**settings), 1, **given)
    assert message in str(error.value)


def test_prompt_of_others():
    t5 = SimpleNamespace(model_type="t5")
    nothing = {"language": None, "task": None}
    assert decoder_prompt(t5, SimpleNamespace(), 0, **nothing) == ((0,), ())
    with pytest.raises(InputError, match="decoder_start_token_id is missing"):
        decoder_prompt(t5, SimpleNamespace(), None, **nothing)
    with pytest.raises(InputError, match="are for Whisper"):
        decoder_prompt(t5, SimpleNamespace(), 0, language="en", task=None)
    with pytest.raises(InputError, match="are for Whisper"):
        GenerationOptions.from_model(chain_of(ROUND), language="en")
