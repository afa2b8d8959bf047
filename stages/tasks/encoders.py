"""What the tasks of encoders share: one call of the model, and the labels of a classifier."""

from collections.abc import Sequence

import jax
from flax import nnx

from stages.core.errors import InputError, quoted
from stages.data.packing import SEQUENCE_IDS, STARTS
from stages.models import loading
from stages.tasks.label_arguments import LabelArguments
from stages.training.arguments import CommonArguments


def encoder_logits(model: nnx.Module, batch, rngs: nnx.Rngs | None = None) -> jax.Array:
    """The head's logits for `input_ids` int32 [rows, tokens], without dropout if `rngs` is None.

    The rows may be those of `PackedBatches`.
    """
    packed = {name: batch[name] for name in (SEQUENCE_IDS, STARTS) if name in batch}
    return model(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        **packed,
        rngs=rngs,
    )


def pretrained_labels(
    args: CommonArguments, head: str, kind: str = "labels"
) -> tuple[list[str] | None, bool]:
    """The labels of the pretrained model, or None, and whether it was trained for a regression.

    Args:
        args: the task's arguments.
        head: as in `stages.models.from_pretrained`.
        kind: the word for labels in the message.

    Raises:
        InputError: nothing is trained, and the model has no labels.
    """
    names, regression = None, False
    if not args.new_weights:
        names, regression = loading.pretrained_labels(
            args.model_name_or_path, head, **args.hub_options
        )
    if names is None and not args.do_train:
        raise InputError(
            f"{args.model_name_or_path}: its config.json names no {kind}; train first (--do_train)"
        )
    return names, regression


def training_labels(
    args: LabelArguments,
    pretrained: Sequence[str] | None,
    classes: list[str] | None,
    found: list[str],
) -> list[str]:
    """The labels to train on: those that `label_names` gives, else those of the rows.

    A stream begins with some of its rows. Its labels are all that the checkpoint has, if the rows
    have no other; else all that the data set tells.

    Args:
        args: the task's arguments.
        pretrained: labels of the pretrained model, if it has some.
        classes: all that the source says there may be, if it does.
        found: the different labels of the rows.
    """
    if args.label_list:
        return args.label_list
    if not args.streaming:
        return found
    known = set(found) <= set(pretrained or ())
    return list(pretrained) if known else classes or found


def match_labels(
    pretrained: Sequence[str] | None, training: list[str], path: str, kind: str = "label"
) -> list[str]:
    """The labels in the pretrained order if training has the same ones, else those of training.

    Args:
        pretrained: labels of the pretrained model, if it has some.
        training: what `training_labels` gives.
        path: the file of the rows, for the message.
        kind: the word for a label in the message.

    Raises:
        InputError: there is one label alone, which a model would give without having learned.
    """
    if len(training) == 1:
        raise InputError(
            f"{path}: {quoted(training[0])} is the only {kind} of the rows to train on, and one "
            "class teaches nothing; add rows of another (or raise --max_train_samples, or name "
            f"every {kind} of a stream with --label_names)"
        )
    return list(pretrained) if set(pretrained or ()) == set(training) else training
