"""Bring a checkpoint from the hub to a folder that train stages can depend on.

    python -m stages.pipeline.fetch_checkpoint minilm --output_dir checkpoints/minilm

reads `checkpoints.minilm` of params.yaml: `id` (owner/model), `revision` (a commit, tag or branch;
a commit never changes under you) and `model_type`, which says before anything is fetched whose code
the stages that use it run.
"""

import argparse
import shutil
from pathlib import Path

from pydantic import Field

from stages.core.errors import InputError, command, quoted
from stages.core.files import atomic_folder
from stages.core.params import PARAMS_FILE, read_params, section
from stages.core.progress import doing
from stages.core.schema import Section, build_section


class Checkpoint(Section):
    """An entry of `checkpoints`."""

    id: str = Field(description="owner/model on the hub")
    revision: str = Field("main", description="commit, tag or branch")
    model_type: str = Field(description="the model_type of its config.json, such as bert")


def read_entry(name: str, params_file: str = PARAMS_FILE) -> Checkpoint:
    """The checked entry `name` of `checkpoints`.

    Raises:
        InputError: naming the key and what is expected.
    """
    where = f"checkpoints.{name}"
    found = section(read_params(params_file), where, params_file)
    return build_section(Checkpoint, found, f"{params_file}: {where}")


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
    from stages.models.pretrained.folder import local_folder

    try:
        with doing(f"fetching {entry.id}"):
            folder = local_folder(entry.id, revision=entry.revision, cache_dir=None, token=None)
    except InputError as error:
        raise InputError(
            f"checkpoints.{options.name}: {error}; where there is no network, copy an HF_HOME that "
            "holds it and set HF_HUB_OFFLINE=1"
        ) from None
    model_type = models.load_config(folder).model_type
    if entry.model_type != model_type:
        raise InputError(
            f"{options.params_file}: checkpoints.{options.name}.model_type is "
            f"{quoted(entry.model_type)}, but {entry.id} is of type {quoted(model_type)}; "
            "write that"
        )
    target = Path(options.output_dir)
    with atomic_folder(target) as partial:
        # The hub's cache holds links; the folder gets the files themselves.
        shutil.copytree(folder, partial, dirs_exist_ok=True)
    print(f"{entry.id} at {entry.revision} is in {target}")


if __name__ == "__main__":
    main()
