"""The model that a new profile starts from."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.core.names import HYPHENATED
from stages.core.strict_json import read_json_object
from stages.models.pretrained.folder import HUB_FILES, local_folder
from stages.pipeline.model_types import family_modules, known_type


@dataclass
class Start:
    """Where training starts.

    said: one line about it.
    path: of a checkpoint in the profile; None for a new model.
    tokenizer: the name of a new model.
    checkpoint: the entry of `checkpoints` of one on the hub.
    copied: whether the profile has a copy, for DVC to track.
    """

    said: str
    path: str | None = None
    tokenizer: str = ""
    checkpoint: dict | None = None
    copied: bool = False

    @property
    def name(self) -> str:
        """Of the checkpoint."""
        return Path(self.path).name if self.path else ""


def find_model(given: str | None, needed: str, profile: Path) -> Start:
    """The checkpoint that the user names, or a new model.

    Args:
        given: a folder, which is copied; or a hub id, which is fetched into the hub's cache to know
            its type and its commit; None for a new model.
        needed: a type of model that the task takes.
        profile: the folder of the profile, perhaps under another name for now.

    Raises:
        InputError: neither a folder nor a model that the hub gives; a type that is not known, or
            not of the task.
    """
    if given is None:
        return Start(
            f"model: a small new one ({needed}), with a tokenizer of the training text; for better "
            "figures give a checkpoint as MODEL",
            tokenizer=needed,
        )
    folder = local_folder(given)
    kind = known_type(
        read_json_object(folder / "config.json").get("model_type"), f"{given}/config.json"
    )
    modules = family_modules()
    if modules[kind] != modules[needed]:
        types = ", ".join(one for one, module in modules.items() if module == modules[needed])
        raise InputError(f"MODEL {given} is of type {quoted(kind)}; the task needs one of {types}")
    name = Path(given.rstrip("/")).name.replace(".", "-")
    if not HYPHENATED.fullmatch(name):
        raise InputError(
            f"MODEL {given}: {quoted(name)} cannot name a folder; give a folder of another name"
        )
    path = f"checkpoints/{name}"
    if Path(given).is_dir():
        kept = [file for pattern in HUB_FILES for file in folder.glob(pattern)]
        (profile / path).mkdir(parents=True)
        for file in kept:
            shutil.copyfile(file, profile / path / file.name)
        return Start(f"model: {given} ({kind}), copied to {path}", path, copied=True)
    entry = {"id": given, "revision": folder.resolve().name, "model_type": kind}
    return Start(f"model: {given} of the hub ({kind})", path, checkpoint=entry)
