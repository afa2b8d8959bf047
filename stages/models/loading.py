"""Models from the names that a user gives."""

from pathlib import Path

from stages.core.errors import InputError, quoted, shortened
from stages.core.files import atomic_files
from stages.models.precision import set_compute_dtype

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

    `problem_type` says the latter; without it, as other programs write `config.json`, one output
    is a regression. `LABEL_0`, `LABEL_1` ..., transformers' placeholders, become the numbers. A
    model without the head has no labels.

    Args:
        name: a folder or hub id.
        head: a key of `ARCHITECTURES`.
        hub: `revision`, `cache_dir` and `token`.

    Raises:
        InputError: what `stages.models` refuses; labels that contradict each other.
    """
    from stages import models

    config = models.load_config(name, **hub)
    if not _has_head(config, head):
        return None, False
    regression = config.problem_type == "regression" or config.num_labels == 1
    if head == "sequence_classification" and regression and config.num_labels != 1:
        raise InputError(
            f"{name}: its config.json has problem_type 'regression' and {config.num_labels} "
            "outputs, but one number a text is what is predicted here; use another checkpoint"
        )
    names = [config.id2label[index] for index in range(config.num_labels)]
    if names == [f"LABEL_{index}" for index in range(config.num_labels)]:
        names = [str(index) for index in range(config.num_labels)]
    numbers = {label: index for index, label in enumerate(names)}
    twice = next((label for index, label in enumerate(names) if numbers[label] != index), None)
    if twice is not None:
        raise InputError(
            f"{name}: its config.json has the label {quoted(twice)} twice in id2label; give each "
            "class a name of its own"
        )
    for label, index in (config.label2id or {}).items():
        if numbers.get(label, index) != index:
            raise InputError(
                f"{name}: its config.json gives {quoted(label)} the number {numbers[label]} in "
                f"id2label and {quoted(index)} in label2id; correct one of them"
            )
    return names, regression


def _has_head(config, head: str) -> bool:
    return (config.architectures or [""])[0].endswith(ARCHITECTURES[head])


def _set_labels(config, head: str, labels: list[str] | None, regression: bool) -> None:
    """Write names of the classes and kind of the problem, which a model of one class needs told."""
    if regression:
        config.num_labels = 1
        config.problem_type = "regression"
    elif labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        classifies = head == "sequence_classification"
        config.problem_type = "single_label_classification" if classifies else None


def load_model(
    name: str | None,
    head: str,
    *,
    config=None,
    config_name: str | None = None,
    new_weights: bool = False,
    new_head: bool = True,
    weights: bool = True,
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
        new_head: whether a pretrained model without the head, or without its weights, gets a new
            one.
        weights: false for a model that only shows what would be loaded.
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
            f"{shortened(' '.join(config.architectures or ['no architecture']))}, not a model "
            f"{ARCHITECTURES[head][0]}; train first (--do_train)"
        )
    if config.problem_type == "multi_label_classification" and not (new_head or new_weights):
        raise InputError(
            f"{name}: its config.json has problem_type 'multi_label_classification', several "
            "classes a text, which is not supported; train on one class a text first (--do_train)"
        )
    _set_labels(config, head, labels, regression)
    if new_weights or not weights:
        if weights:
            model = models.from_config(config, head, seed=seed)
        else:
            model = models.without_weights(config, head)
        folder = config_name or name
        if hasattr(model, "generation_config") and folder and not Path(folder).is_file():
            pretrained.load_generation_config(model, pretrained.local_folder(folder, **hub))
    else:
        model = models.from_pretrained(
            name, head, config=config, seed=seed, new_head=new_head, **hub
        )
    set_compute_dtype(model, dtype)
    if gradient_checkpointing:
        models.remat_layers(model)
    return model


def class_names(model) -> list[str] | None:
    """The names of a classifier's classes, None of any other model."""
    config, classifies = model.config, model.head_name.endswith("_classification")
    if not classifies or config.problem_type == "regression":
        return None
    return [config.id2label[index] for index in range(config.num_labels)]


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
