"""The tokens that a decoder starts with; for Whisper those of language, task and no timestamps.

Whisper was trained on targets that begin with such tokens (Radford et al. 2022, arXiv:2212.04356,
section 2.3). They follow from the generation config as in transformers: language and task, and only
if neither is given the old `forced_decoder_ids`.
"""

from transformers import GenerationConfig, PretrainedConfig

from stages.core.errors import InputError, quoted

Prompt = tuple[int | None, ...]


def decoder_prompt(
    config: PretrainedConfig,
    generation: GenerationConfig,
    start: int | None,
    *,
    language: str | None,
    task: str | None,
) -> tuple[Prompt, tuple[int, ...]]:
    """The decoder's first tokens, and the language tokens to choose from.

    Args:
        config: the model's.
        generation: the model's.
        start: id of the first token of every target.
        language, task: see `GenerationOptions.from_model`.

    Returns:
        The tokens, with None for a language that must be detected, and in that case the ids of all
        languages.

    Raises:
        InputError: no start token, an unknown language or task, or either for a model that is not
            multilingual.
    """
    if start is None:
        raise InputError(
            "decoder_start_token_id is missing in generation_config.json, and there is no "
            "bos_token_id; add the id of the token that targets begin with"
        )
    if config.model_type != "whisper":
        if language is not None or task is not None:
            raise InputError(
                f"language and task are for Whisper; leave them out with {config.model_type}"
            )
        return (start,), ()
    return _whisper_prompt(config, generation, start, language, task)


def _whisper_prompt(config, generation, start, language, task) -> tuple[Prompt, tuple[int, ...]]:
    languages = getattr(generation, "lang_to_id", None) or {}
    tasks = getattr(generation, "task_to_id", None) or {}
    english_only = getattr(generation, "is_multilingual", None) is False
    for name, value, table in (("language", language, languages), ("task", task, tasks)):
        if value is not None and (english_only or not table):
            raise InputError(
                f"{name} {quoted(value)} was given, but by generation_config.json the model is "
                f"English-only; leave {name} out"
            )
    language = language or getattr(generation, "language", None)
    task = task or getattr(generation, "task", None)
    prompt: list[int | None] = [start]
    if language is None and task is None:
        prompt += _forced(generation, config)
    detect = language is None and bool(languages) and prompt[1:2] in ([], [None])
    if language is not None:
        prompt.append(_language_id(language, languages))
    elif detect:
        prompt[1:2] = [None]
    if task is not None:
        if task not in tasks:
            raise InputError(
                f"task {quoted(task)} is not one of the model's: {', '.join(sorted(tasks))}"
            )
        prompt.append(tasks[task])
    elif language is not None and tasks:
        prompt.append(tasks["transcribe"])
    no_timestamps = getattr(generation, "no_timestamps_token_id", None)
    if no_timestamps is not None and prompt[-1] != no_timestamps:
        prompt.append(no_timestamps)
    if detect:
        return tuple(prompt), tuple(languages.values())
    return tuple(token for token in prompt if token is not None), ()


def _forced(generation, config) -> list[int | None]:
    """The tokens at positions 1, 2, ... that older configs list as pairs of position and token."""
    pairs = getattr(generation, "forced_decoder_ids", None)
    pairs = getattr(config, "forced_decoder_ids", None) if pairs is None else pairs
    pairs = pairs or []
    if [position for position, _ in pairs] != list(range(1, len(pairs) + 1)):
        raise InputError(
            f"forced_decoder_ids {pairs} are not at positions 1, 2, ...; correct them in "
            "generation_config.json, or name language and task there"
        )
    return [token for _, token in pairs]


def _language_id(language: str, languages: dict[str, int]) -> int:
    """The id of a language given by its token, its code or its English name."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    wanted = language.lower()
    code = TO_LANGUAGE_CODE.get(wanted, wanted)
    for token in (wanted, f"<|{code}|>"):
        if token in languages:
            return languages[token]
    known = ", ".join(sorted(name.strip("<|>") for name in languages))
    raise InputError(f"language {quoted(language)} is not one of the model's: {known}")
