"""The tokenizer of a model's folder, and what a task needs of it."""

import json
import logging
from pathlib import Path

from stages.core.errors import InputError, one_line, quoted, shortened
from stages.core.strict_json import read_json_object

logger = logging.getLogger(__name__)

CONFIG = "tokenizer_config.json"
# How published vocabularies write a special token, to suggest one that is there.
USUAL = {
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
    "eos": ("</s>", "<|endoftext|>", "<eos>", "[SEP]"),
    "mask": ("[MASK]", "<mask>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
}
# A syllable of Linear B: a letter to every normalizer, and hardly in a vocabulary.
UNKNOWN = "\U00010000"
# Their positions count the tokens that are not padding, and know it by its id.
COUNT_PADDING = ("camembert", "roberta", "xlm-roberta")


def load_tokenizer(
    name: str,
    *,
    needs: tuple[str, ...] = (),
    word_lists: bool = False,
    revision=None,
    cache_dir=None,
    token=None,
):
    """The fast tokenizer of a folder or hub id.

    Args:
        name: the folder or hub id.
        needs: the special tokens that it must have, keys of `USUAL`, or "sentinels", T5's
            `<extra_id_0>` and so on.
        word_lists: it will read lists of words. A byte-level tokenizer then puts a space before
            each word, as in running text.
        revision, cache_dir, token: for the hub.

    Raises:
        InputError: no tokenizer there, or none that gives the offsets of tokens in the text; an
            entry of the wrong kind in `tokenizer_config.json`; a special token that is missing.
    """
    from transformers import AutoTokenizer

    from stages.models.pretrained.folder import local_folder

    folder = local_folder(name, revision=revision, cache_dir=cache_dir, token=token)
    if (folder / CONFIG).is_file():
        read_json_object(folder / CONFIG)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if word_lists and _is_byte_level(tokenizer):
            tokenizer = AutoTokenizer.from_pretrained(
                folder, add_prefix_space=True, trust_remote_code=False
            )
    except Exception as error:  # a broken tokenizer.json gives a bare Exception
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"tokenizer {name}: cannot be loaded ({shortened(one_line(reason[0]), 200)}); the "
            "folder needs tokenizer.json and tokenizer_config.json, or name another with "
            "--tokenizer_name"
        ) from None
    if not tokenizer.is_fast:
        raise InputError(f"tokenizer {name}: has no tokenizer.json; save it as a fast tokenizer")
    _check(tokenizer, folder, needs)
    return tokenizer


def _is_byte_level(tokenizer) -> bool:
    from tokenizers.pre_tokenizers import ByteLevel

    return tokenizer.is_fast and isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel)


def _check(tokenizer, folder: Path, needs: tuple[str, ...]) -> None:
    limit = tokenizer.model_max_length
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 1:
        raise InputError(
            f"{folder / CONFIG}: model_max_length is {quoted(limit)}; expected a whole number of "
            "1 or more; correct it, or remove it"
        )
    vocabulary = tokenizer.get_vocab()
    special = {key: getattr(tokenizer, f"{key}_token") for key in USUAL}
    if "sentinels" in needs and "<extra_id_0>" not in vocabulary:
        raise InputError(
            f"the tokenizer of {folder} has no sentinels <extra_id_0>, <extra_id_1> ...; take that "
            "of a T5"
        )
    if missing := [key for key in needs if special.get(key, "") is None]:
        entries = {
            f"{key}_token": next((one for one in USUAL[key] if one in vocabulary), USUAL[key][0])
            for key in missing
        }
        raise InputError(
            f"{folder / CONFIG}: this task needs {' and '.join(entries)}, which the tokenizer has "
            "not; add what it was trained with, for example "
            f"{json.dumps(entries, ensure_ascii=False)[1:-1]}"
        )
    for key, written in special.items():
        if written is not None and written not in vocabulary:
            raise InputError(
                f"{folder / CONFIG}: {key}_token {quoted(written)} is not in the vocabulary; "
                "give one that is"
            )
    try:
        tokenizer(UNKNOWN, verbose=False)
    except Exception as error:  # tokenizers raises bare ones
        raise InputError(
            f"{folder / 'tokenizer.json'}: cannot write a character that it does not know "
            f"({shortened(one_line(str(error)), 200)}); its model needs an unk_token that is in "
            "its vocabulary"
        ) from None


def check_template(tokenizer, *, pairs: bool) -> None:
    """Refuse a tokenizer that leaves out what an encoder's head reads.

    Args:
        tokenizer: a fast one.
        pairs: two texts follow each other in a row.

    Raises:
        InputError: no special token before a text, or, with `pairs`, none between two.
    """
    owners = tokenizer("a", "a", verbose=False).sequence_ids(0)
    places = ["before a text"] if owners[:1] != [None] else []
    if pairs and (1 not in owners or owners[owners.index(1) - 1] is not None):
        places.append("between two texts")
    if places:
        raise InputError(
            f"{tokenizer.name_or_path}: the tokenizer puts no special token "
            f"{' and none '.join(places)}, where the model expects one; give tokenizer.json the "
            "post_processor that it was trained with"
        )


def check_vocabulary(tokenizer, config) -> None:
    """Refuse a tokenizer whose ids the model has no embeddings for, or takes for others.

    Args:
        tokenizer: a fast one.
        config: the model's transformers configuration.

    Raises:
        InputError: an id beyond the embeddings; another padding token where that moves positions.
    """
    vocabulary = tokenizer.get_vocab()
    highest = max(vocabulary, key=vocabulary.get)
    if vocabulary[highest] >= config.vocab_size:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, the model's vocabulary "
            f"{config.vocab_size} (the id of {quoted(highest)} is {vocabulary[highest]}); they do "
            "not belong together: check --tokenizer_name and --model_name_or_path, and the special "
            f"tokens in {CONFIG}"
        )
    ours, theirs = tokenizer.pad_token_id, config.pad_token_id
    # Whisper's texts are padded after they are tokens.
    if None in (ours, theirs) or ours == theirs or config.model_type == "whisper":
        return
    message = (
        f"the tokenizer pads with the id {ours} ({tokenizer.pad_token}), config.json has "
        f"pad_token_id {theirs}"
    )
    if config.model_type in COUNT_PADDING:
        raise InputError(
            f"{message}, from which {config.model_type} counts positions; make them agree"
        )
    logger.warning("%s; padding is masked, so the results are the same", message)
