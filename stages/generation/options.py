"""The options of greedy and beam search."""

import logging
from dataclasses import dataclass

from flax import nnx
from transformers import GenerationConfig, PretrainedConfig

from stages.core.errors import InputError, quoted
from stages.generation.prompt import decoder_prompt

logger = logging.getLogger(__name__)

DEFAULT_NEW_TOKENS = 20  # without any length option, as in transformers

# Entries of a generation config that would change the tokens and are not supported: refused unless
# they have one of these values.
UNSUPPORTED = {
    "bad_words_ids": (None,),
    "constraints": (None,),
    "diversity_penalty": (None, 0.0),
    "dola_layers": (None,),
    "encoder_no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1.0),
    "exponential_decay_length_penalty": (None,),
    "force_words_ids": (None,),
    "guidance_scale": (None, 1.0),
    "max_time": (None,),
    "num_beam_groups": (None, 1),
    "penalty_alpha": (None, 0.0),
    "renormalize_logits": (None, False),
    "sequence_bias": (None,),
    "stop_strings": (None,),
    "token_healing": (None, False),
    "watermarking_config": (None,),
}
# Entries that are ignored, with a warning unless they have one of these values.
IGNORED = {
    "do_sample": ((None, False), "tokens are not sampled here but chosen by greedy or beam search"),
    "num_return_sequences": ((None, 1), "one sequence a row is returned"),
    "return_timestamps": ((None, False), "text is generated without timestamps"),
}
IDS = (
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "pad_token_id",
    "decoder_prompt",
)


@dataclass(frozen=True)
class GenerationOptions:
    """Options of greedy search (`num_beams` 1) or beam search, under transformers' names.

    Lengths are in tokens. `max_length` and `min_length` include the prompt: the decoder's start
    tokens, or GPT-2's `input_ids` with their padding. `max_new_tokens` and `min_new_tokens` do
    not, and take precedence. Only Whisper's `max_length` excludes its first tokens.

    Attributes:
        eos_token_id: ids that end a row; without any, all rows get the full length.
        pad_token_id: fills a row after its end.
        length_penalty: exponent of the length by which a beam's log probability is divided.
        early_stopping: True stops a row at `num_beams` finished beams; False when the best running
            one, at its present length, is no better than the worst of them; "never" when it
            could not become better at full length either.
        repetition_penalty: divides the positive scores of tokens already there and multiplies
            the negative ones (Keskar et al. 2019, arXiv:1909.05858, section 4.1).
        no_repeat_ngram_size: no n-gram of this size twice (Paulus et al. 2017, arXiv:1705.04304,
            section 2.5); 0: no such rule.
        forced_bos_token_id: the first token after a prompt of one token.
        forced_eos_token_id: the token at full length; greedy search takes the first of several in
            the vocabulary.
        suppress_tokens, begin_suppress_tokens: never chosen; not chosen as the first new token.
        decoder_prompt: the decoder's first tokens for a batch without `decoder_input_ids`; None is
            a language token to detect.
        language_ids: Whisper's language tokens, if the language is to be detected.
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int = 0
    min_new_tokens: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    forced_bos_token_id: int | None = None
    forced_eos_token_id: tuple[int, ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    eos_token_id: tuple[int, ...] = ()
    pad_token_id: int = 0
    decoder_prompt: tuple[int | None, ...] = ()
    language_ids: tuple[int, ...] = ()

    @classmethod
    def from_model(
        cls, model: nnx.Module, *, language: str | None = None, task: str | None = None, **overrides
    ) -> "GenerationOptions":
        """Read `model.generation_config`; `overrides` that are not None take precedence.

        Args:
            model: one that generates.
            language: for a multilingual Whisper, a name ("german") or code ("de"). Without it and
                `task`, that of the generation config, or the language detected in each row.
            task: "transcribe" or "translate", for a multilingual Whisper.
            overrides: the attributes above by name; an id may stand alone or in a list.
                `decoder_start_token_id` stands for a prompt of that one token.

        Raises:
            InputError: an option that is not supported, or an invalid value.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        config = model.generation_config
        known = {*cls.__dataclass_fields__, "decoder_start_token_id"} - {
            "decoder_prompt",
            "language_ids",
        }
        if unknown := sorted(set(given) - known):
            raise TypeError(f"unknown options: {', '.join(unknown)}")
        _check_supported(config)
        values = {name: getattr(config, name, None) for name in known}
        values = {name: value for name, value in values.items() if value is not None}
        if "max_length" in given and "max_new_tokens" not in given:
            values.pop("max_new_tokens", None)
        if "min_length" in given and "min_new_tokens" not in given:
            values.pop("min_new_tokens", None)
        values |= given
        for name in ("eos_token_id", "forced_eos_token_id"):
            values[name] = _ids(values.get(name, ()))
        for name in ("suppress_tokens", "begin_suppress_tokens"):
            # Some configs list ids beyond the vocabulary, which can never be chosen.
            listed = _ids(values.get(name, ()))
            values[name] = tuple(i for i in listed if 0 <= i < model.config.vocab_size)
        values.setdefault(
            "pad_token_id", values["eos_token_id"][0] if values["eos_token_id"] else 0
        )
        start = values.pop("decoder_start_token_id", config.bos_token_id)
        if hasattr(model, "encode"):
            values["decoder_prompt"], values["language_ids"] = decoder_prompt(
                model.config, config, start, language=language, task=task
            )
        elif language is not None or task is not None:
            raise InputError(
                f"language and task are for Whisper; leave them out with {model.config.model_type}"
            )
        options = cls(**values)
        options._check(model.config.vocab_size)
        return options

    def new_tokens(self, prompt_length: int, config: PretrainedConfig) -> int:
        """The most new tokens of a row after a prompt of this length, at least 1.

        Raises InputError if there would be none, or more than the model has positions for.
        """
        room = getattr(config, "max_target_positions", None)
        room = room or getattr(config, "max_position_embeddings", None)
        if self.max_new_tokens is not None:
            total = prompt_length + self.max_new_tokens
        elif self.max_length is None:
            total = prompt_length + DEFAULT_NEW_TOKENS
            total = total if room is None else min(total, room)
        elif config.model_type == "whisper":
            total = min(self.max_length + min(prompt_length, room // 2 - 1), room)
        else:
            total = self.max_length
        if total <= prompt_length:
            raise InputError(
                f"max_length {total} leaves nothing to generate after a prompt of "
                f"{prompt_length} tokens; raise it, or give max_new_tokens"
            )
        if room is not None and total > room:
            raise InputError(
                f"a prompt of {prompt_length} tokens and {total - prompt_length} new ones are "
                f"more than the model's {room} positions; lower max_new_tokens or max_length"
            )
        return total - prompt_length

    def min_tokens(self, prompt_length: int) -> int:
        """The number of new tokens before a row may end."""
        if self.min_new_tokens is not None:
            return self.min_new_tokens
        return max(self.min_length - prompt_length, 0)

    def _check(self, vocabulary: int) -> None:
        for name, least in (
            ("max_length", 1),
            ("max_new_tokens", 1),
            ("min_length", 0),
            ("min_new_tokens", 0),
            ("num_beams", 1),
            ("no_repeat_ngram_size", 0),
        ):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise InputError(
                    f"{name} is {quoted(value)}; give a whole number of at least {least}"
                )
        for name in ("length_penalty", "repetition_penalty"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)):
                raise InputError(f"{name} is {quoted(value)}; give a number")
        if self.repetition_penalty <= 0:
            raise InputError(f"repetition_penalty is {self.repetition_penalty}; give more than 0")
        if self.early_stopping not in (True, False, "never"):
            raise InputError(
                f'early_stopping is {quoted(self.early_stopping)}; give true, false or "never"'
            )
        for name in IDS:
            value = getattr(self, name)
            ids = value if isinstance(value, tuple) else (value,)
            outside = [i for i in ids if i is not None and not 0 <= i < vocabulary]
            if outside:
                raise InputError(
                    f"{name}: {outside[0]} is not in the vocabulary of {vocabulary}; "
                    "correct it in generation_config.json"
                )


def _ids(value) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _check_supported(config: GenerationConfig) -> None:
    for name, harmless in UNSUPPORTED.items():
        value = getattr(config, name, None)
        if value not in harmless:
            raise InputError(
                f"{name} is {quoted(value)} in the generation config, which is not supported; "
                "remove it from generation_config.json"
            )
    for name, (harmless, meaning) in IGNORED.items():
        value = getattr(config, name, None)
        if value not in harmless:
            logger.warning("generation config: %s=%r is ignored: %s", name, value, meaning)
