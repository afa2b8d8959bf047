"""Loading of weights and of the generation config."""

import logging
from pathlib import Path
from typing import Literal

from flax import nnx
from pydantic import Field
from transformers import GenerationConfig

from stages.core.errors import InputError, one_line, shortened
from stages.core.strict_json import read_json_object
from stages.models.base import GenerativeModel
from stages.models.entries import Entries, ForcedIds, check_entries
from stages.models.parameters import initialise, named_parameters, set_parameter
from stages.models.pretrained.folder import GENERATION
from stages.models.pretrained.names import Names
from stages.models.pretrained.state_dict import StateDict

logger = logging.getLogger(__name__)


def load(
    model: nnx.Module, names: Names, folder: Path, seed: int, *, new_head: bool = True
) -> None:
    """Load an abstract model from a folder; initialise what its head lacks from `seed`.

    Newly initialised and unused weights are logged, one line each. All shapes are compared before
    the first weight is read, so that a configuration cannot ask for memory that the file does not
    back. Raises InputError for a weight outside the head, or without `new_head` any weight, that
    is missing or has another shape, and for a tied tensor that differs from the one it should
    repeat.
    """
    state = StateDict(folder, names.prefix)
    used, new, sources = set(), [], []
    for path, param in named_parameters(model):
        key, transposed = names.key(path)
        candidates = (key, *names.aliases.get(key, ()))
        used |= set(candidates)
        source = next((name for name in candidates if name in state.tensors), key)
        wanted = param.shape[::-1] if transposed else param.shape
        found = state.shape(source) if source in state.tensors else None
        if found == wanted:
            sources.append((param, source, transposed))
        elif path[0] == "head" and new_head:
            new.append(key if found is None else f"{key} ({found} in the file)")
        else:
            there = "missing" if found is None else f"of shape {found}"
            raise InputError(
                f"{folder}: weight {key} is {there}, {wanted} is needed; "
                "give weights that belong to config.json"
            )
    for param, source, transposed in sources:
        values = state.read(source)
        set_parameter(param, values.T if transposed else values)
    if new:
        initialise(model, seed)
        logger.warning("%s: newly initialised: %s", folder, ", ".join(new))
    for key, source in names.tied.items():
        if {key, source} <= state.tensors.keys() and not state.equal(key, source):
            raise InputError(
                f"{folder}: {key} is not the copy of {source} that config.json "
                "(tie_word_embeddings) requires; give weights that belong to config.json"
            )
    unused = [k for k in state.tensors if k not in used | set(names.tied)]
    unused = [k for k in unused if not k.endswith(names.buffers)]
    if unused:
        logger.info("%s: not used: %s", folder, shortened(", ".join(sorted(unused)), 2000))


_IDS = Field(None, description="a token's id, or a list of them")
_ID_LIST = Field(None, description="a list of tokens' ids")
_ID_TABLE = Field(None, description="a mapping of names to tokens' ids")


class GenerationEntries(Entries):
    """What `stages.generation` reads of `generation_config.json`; it checks the bounds."""

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    num_beams: int | None = None
    length_penalty: float | None = None
    early_stopping: bool | Literal["never"] | None = Field(
        None, description='true, false or "never"'
    )
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | list[int] | None = _IDS
    decoder_start_token_id: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = _IDS
    suppress_tokens: list[int] | None = _ID_LIST
    begin_suppress_tokens: list[int] | None = _ID_LIST
    forced_decoder_ids: ForcedIds = None
    lang_to_id: dict[str, int] | None = _ID_TABLE
    task_to_id: dict[str, int] | None = _ID_TABLE
    no_timestamps_token_id: int | None = None
    is_multilingual: bool | None = None
    language: str | None = None
    task: str | None = None


def load_generation_config(model: GenerativeModel, folder: Path) -> None:
    """Set the model's generation config from the folder's `generation_config.json`, if any.

    Raises InputError for one that is broken or has an entry of the wrong type.
    """
    file = folder / GENERATION
    if not file.is_file():
        return
    values = read_json_object(file)
    for key in values:
        if callable(getattr(GenerationConfig, key, None)):
            raise InputError(f"{file}: {key} is no entry of this file; remove it")
    try:
        config = GenerationConfig.from_dict(values)
        model.generation_config = config
    except Exception as error:  # transformers raises many types for values of a wrong type
        reason = shortened(one_line(" ".join(str(error).split())), 300)
        raise InputError(f"{file}: {reason}; correct the value in this file") from error
    try:
        check_entries(GenerationEntries, config)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
