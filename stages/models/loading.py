"""Tokenizer and model as a task's arguments name them."""

from pathlib import Path

from stages.core.errors import InputError
from stages.models.precision import set_compute_dtype


def load_tokenizer(args, *, words: bool = False):
    """The fast tokenizer of `tokenizer_name`, or of the checkpoint.

    Args:
        args: the task's arguments.
        words: it will read lists of words; one that works on bytes must then put a space before
            each of them, as in running text.

    Raises:
        InputError: no tokenizer there, or none that tells where a token stands in the text.
    """
    from transformers import AutoTokenizer

    from stages.models.pretrained.folder import local_folder

    name = args.tokenizer_name or args.model_name_or_path
    folder = local_folder(
        name, revision=args.model_revision, cache_dir=args.cache_dir, token=args.token
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if words and _works_on_bytes(tokenizer):
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


def _works_on_bytes(tokenizer) -> bool:
    from tokenizers.pre_tokenizers import ByteLevel

    return tokenizer.is_fast and isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel)


# How the names of the PyTorch classes end that hold each head.
ARCHITECTURES = {
    "masked_lm": ("ForMaskedLM", "ForPreTraining"),
    "sequence_classification": ("ForSequenceClassification",),
    "token_classification": ("ForTokenClassification",),
    "question_answering": ("ForQuestionAnswering",),
    "causal_lm": ("LMHeadModel",),
    "seq2seq_lm": ("ForConditionalGeneration", "WithLMHeadModel"),
    "speech_seq2seq": ("ForConditionalGeneration",),
}


def checkpoint_labels(args, head: str) -> tuple[list[str] | None, bool]:
    """The names of the checkpoint's classes, and whether it was trained for a regression.

    Names that were never given (`LABEL_0`, `LABEL_1`) are the numbers of the classes; a checkpoint
    without the head has none.
    """
    from stages import models

    if args.new_weights:
        return None, False
    config = models.load_config(
        args.model_name_or_path,
        revision=args.model_revision,
        cache_dir=args.cache_dir,
        token=args.token,
    )
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
    args, head: str, *, config=None, labels: list[str] | None = None, regression: bool = False
):
    """The model with `head`, from the checkpoint or with new weights.

    What `dtype` and `gradient_checkpointing` ask for is noted on it, and its steps obey.

    Args:
        args: the task's arguments.
        head: as in `stages.models.from_pretrained`.
        config: a configuration in place of the one that the arguments name.
        labels: names of the classes, written to `config.json` as `id2label`; None leaves the
            checkpoint's.
        regression: one output without classes.

    Raises:
        InputError: what `stages.models` refuses; and, where nothing is trained, a checkpoint
            whose head would be new.
    """
    from stages import models
    from stages.models import pretrained as checkpoint

    hub = {"revision": args.model_revision, "cache_dir": args.cache_dir, "token": args.token}
    if config is None:
        config = models.load_config(args.config_name or args.model_name_or_path, **hub)
    if not (args.do_train or args.new_weights or _has_head(config, head)):
        raise InputError(
            f"{args.model_name_or_path}: its config.json names "
            f"{' '.join(config.architectures or ['no architecture'])}, not a model "
            f"{ARCHITECTURES[head][0]}; train first (--do_train)"
        )
    if regression:
        config.num_labels = 1
        config.problem_type = "regression"
    elif labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    if args.new_weights:
        model = models.from_config(config, head, seed=args.seed)
        name = args.config_name or args.model_name_or_path
        if hasattr(model, "generation_config") and name and not Path(name).is_file():
            checkpoint.load_generation_config(model, checkpoint.local_folder(name, **hub))
    else:
        model = models.from_pretrained(
            args.model_name_or_path, head, config=config, seed=args.seed, **hub
        )
    set_compute_dtype(model, args.dtype)
    if args.gradient_checkpointing:
        models.remat_layers(model)
    return model


def save_model(args, model, tokenizer) -> None:
    """Write weights, configuration and tokenizer as a Hugging Face folder."""
    from stages import models

    models.save_pretrained(model, args.output_dir)
    tokenizer.save_pretrained(args.output_dir)


def row_length(args, config, tokenizer, name: str = "max_seq_length") -> int:
    """The argument `name`, or the model's own limit where it is not given (at most 1024).

    Raises:
        InputError: more positions are asked for than the model has.
    """
    from stages import models

    limit = models.max_positions(config)
    given = getattr(args, name)
    if given is None:
        return min(limit, tokenizer.model_max_length, 1024)
    if given > limit:
        raise InputError(
            f"--{name} {given} is above the model's {limit} positions; use {limit} or less"
        )
    return given


def check_vocabulary(tokenizer, config) -> None:
    """Refuse a tokenizer that has more pieces than the model has embeddings."""
    if len(tokenizer) > config.vocab_size:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, the model's vocabulary "
            f"{config.vocab_size}; they do not belong together: check --tokenizer_name and "
            "--model_name_or_path"
        )
