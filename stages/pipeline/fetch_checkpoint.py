"""Bring a checkpoint from the hub to a folder that train stages can depend on.

    python -m stages.pipeline.fetch_checkpoint minilm --output_dir checkpoints/minilm

reads `checkpoints.minilm` of params.yaml: `id` (owner/model) and `revision` (a commit, tag or
branch; a commit never changes under you).
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

from stages.core.arguments import PARAMS_FILE, build, flag, named_values, read_params, section
from stages.core.errors import InputError, command
from stages.core.files import atomic_folder


@dataclass(kw_only=True)
class Checkpoint:
    """An entry of `checkpoints`."""

    id: str | None = flag(None, "owner/model on the hub")
    revision: str = flag("main", "commit, tag or branch")


def read_entry(name: str, params_file: str = PARAMS_FILE) -> Checkpoint:
    """The checked entry `name` of `checkpoints`.

    Raises:
        InputError: naming the key and what is expected.
    """
    values = section(read_params(params_file), f"checkpoints.{name}", params_file)
    where = f"{params_file}: checkpoints.{name}"
    entry = build(Checkpoint, named_values(Checkpoint, values, where, f"{where}."))
    if not entry.id:
        raise InputError(f"{where}.id is missing; write owner/model")
    return entry


@command
def main() -> None:
    """Write the folder whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="entry of `checkpoints`")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--params_file", default=PARAMS_FILE)
    options = parser.parse_args()

    entry = read_entry(options.name, options.params_file)
    from stages import models
    from stages.models.pretrained import local_folder

    try:
        folder = local_folder(entry.id, revision=entry.revision, cache_dir=None, token=None)
    except InputError as error:
        raise InputError(
            f"checkpoints.{options.name}: {error}; where there is no network, copy an HF_HOME that "
            "holds it and set HF_HUB_OFFLINE=1"
        ) from None
    models.load_config(folder)
    target = Path(options.output_dir)
    with atomic_folder(target) as partial:
        # The hub's cache holds links; the folder gets the files themselves.
        shutil.copytree(folder, partial, dirs_exist_ok=True)
    print(f"{entry.id} at {entry.revision} is in {target}")


if __name__ == "__main__":
    main()
