"""Tokenizers and models from the names that a user gives."""

from pathlib import Path

from stages.core.errors import InputError
from stages.core.files import atomic_files
from stages.models.precision import set_compute_dtype


def load_tokenizer(
    name: str, *, word_lists: bool = False, revision=None, cache_dir=None, token=None
):
    """The fast tokenizer of a folder or hub id.

    Args:
        name: the folder or hub id.
        word_lists: it will read lists of words. A byte-level tokenizer then puts a space before
            each word, as in running text.
        revision, cache_dir, token: for the hub.

    Raises:
        InputError: no tokenizer there, or none that gives the offsets of tokens in the text.
    """
    from transformers import AutoTokenizer

    from stages.models.pretrained.folder import local_folder

    folder = local_folder(name, revision=revision, cache_dir=cache_dir, token=token)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if word_lists and _is_byte_level(tokenizer):
            tokenizer = AutoTokenizer.from_pretrained(
                folder, add_prefix_space=True, trust_remote_code=False
            )
    except Exception as error:  # a broken tokenizer.json gives a bare Exception
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"tokenizer {name}: cannot be loaded ({reason[0]}); the folder needs tokenizer.json "
            "and tokenizer_config.json, or name another with --tokenizer_name"
        ) from None
    if not tokenizer.is_fast:
        raise InputError(f"tokenizer {name}: has no tokenizer.json; save it as a fast tokenizer")
    return tokenizer


def _is_byte_level(tokenizer) -> bool:
    from tokenizers.pre_tokenizers import ByteLevel

    return tokenizer.is_fast and isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel)


# How the names of the PyTorch classes with each head end.
ARCHITECTURES = {
    "masked_lm": ("ForMaskedLM", "ForPreTraining"),
    "sequence_classification": ("ForSequenceClassification",),
    "token_classification": ("ForTokenClassification",),
    "question_answering": ("ForQuestionAnswering",),
    "causal_lm": ("LMHeadModel",),
    "seq2seq_lm": ("ForConditionalGeneration", "WithLMHeadModel"),
    "speech_seq2seq": ("ForConditionalGeneration",),
}


def pretrained_labels(name: str, head: str, **hub) -> tuple[list[str] | None, bool]:
    """The labels of a pretrained model, and whether it was trained for a regression.

    `LABEL_0`, `LABEL_1` ..., transformers' placeholders, become the numbers. A model without the
    head has no labels.

    Args:
        name: a folder or hub id.
        head: a key of `ARCHITECTURES`.
        hub: `revision`, `cache_dir` and `token`.
    """
    from stages import models

    config = models.load_config(name, **hub)
    if not _has_head(config, head):
        return None, False
    regression = config.problem_type == "regression" or config.num_labels == 1
    names = [config.id2label[index] for index in range(config.num_labels)]
    if names == [f"LABEL_{index}" for index in range(config.num_labels)]:
        names = [str(index) for index in range(config.num_labels)]
    return names, regression


def _has_head(config, head: str) -> bool:
    return (config.architectures or [""])[0].endswith(ARCHITECTURES[head])


def load_model(
    name: str | None,
    head: str,
    *,
    config=None,
    config_name: str | None = None,
    new_weights: bool = False,
    new_head: bool = True,
    labels: list[str] | None = None,
    regression: bool = False,
    seed: int = 0,
    dtype: str = "float32",
    gradient_checkpointing: bool = False,
    **hub,
):
    """The model with `head`, pretrained or with new weights.

    Args:
        name: folder or hub id of the pretrained model; None only for new weights.
        head: as in `stages.models.from_pretrained`.
        config: a transformers configuration, instead of the one of `config_name` or `name`.
        config_name: folder or hub id of another configuration.
        new_weights: draw all weights from `seed` instead of reading them.
        new_head: whether a pretrained model without the head gets a new one.
        labels: names of the classes, written to `config.json` as `id2label`; None keeps those of
            the configuration.
        regression: one output without classes.
        seed: of new weights.
        dtype: `float32` or `bfloat16`; the steps compute in it.
        gradient_checkpointing: recompute each layer in the backward pass.
        hub: `revision`, `cache_dir` and `token`.

    Raises:
        InputError: what `stages.models` refuses; a missing head where `new_head` is false.
    """
    from stages import models
    from stages.models import pretrained

    if config is None:
        config = models.load_config(config_name or name, **hub)
    if not (new_head or new_weights or _has_head(config, head)):
        raise InputError(
            f"{name}: its config.json names "
            f"{' '.join(config.architectures or ['no architecture'])}, not a model "
            f"{ARCHITECTURES[head][0]}; train first (--do_train)"
        )
    if regression:
        config.num_labels = 1
        config.problem_type = "regression"
    elif labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    if new_weights:
        model = models.from_config(config, head, seed=seed)
        folder = config_name or name
        if hasattr(model, "generation_config") and folder and not Path(folder).is_file():
            pretrained.load_generation_config(model, pretrained.local_folder(folder, **hub))
    else:
        model = models.from_pretrained(name, head, config=config, seed=seed, **hub)
    set_compute_dtype(model, dtype)
    if gradient_checkpointing:
        models.remat_layers(model)
    return model


def save_model(folder: str | Path, model, *processors) -> None:
    """Write weights, configuration, tokenizer and the like as a Hugging Face folder."""
    from stages import models

    models.save_pretrained(model, folder)
    with atomic_files(folder) as part:
        for processor in processors:
            processor.save_pretrained(part)


def max_length(given: int | None, config, tokenizer, flag: str = "max_seq_length") -> int:
    """Tokens of a row: `given`, or the model's own limit if that is None (at most 1024).

    Args:
        given: value of `flag`.
        config: a transformers configuration.
        tokenizer: its `model_max_length` is a limit too.
        flag: for the message.

    Raises:
        InputError: `given` is more than the model has positions.
    """
    from stages import models

    limit = models.max_positions(config)
    if given is None:
        return min(limit, tokenizer.model_max_length, 1024)
    if given > limit:
        raise InputError(
            f"--{flag} {given} is above the model's {limit} positions; use {limit} or less"
        )
    return given


def check_vocabulary(tokenizer, config) -> None:
    """Refuse a tokenizer with more tokens than the model has embeddings."""
    if len(tokenizer) > config.vocab_size:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, the model's vocabulary "
            f"{config.vocab_size}; they do not belong together: check --tokenizer_name and "
            "--model_name_or_path"
        )
