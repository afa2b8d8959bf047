"""Which names are those of the hub, and which are paths of this machine."""

from stages.core.errors import InputError, shortened

# What the pipeline makes, in the project and in each profile: there, or not made yet.
FOLDERS = ("checkpoints", "data", "models", "profiles", "results", "runs")


def check_hub_name(name: str, where: str = "") -> None:
    """Refuse a name that can only be a path: the hub would be asked for a stranger's files.

    To be called where there is no such file or folder, before the hub is asked.

    Args:
        name: as the user gave it.
        where: what the message begins with, such as a flag and a blank.

    Raises:
        InputError: a path, with what makes it where that is the pipeline.
    """
    parts = name.split("/")
    if len(parts) > 2 or name.startswith((".", "/", "~")) or "" in parts or "\\" in name:
        raise InputError(
            f"{where}{shortened(name, 200)}: no such folder; give a local folder, or a hub id (a "
            "name, or owner/name) that can be reached"
        )
    if parts[0] in FOLDERS:
        raise InputError(
            f"{where}{shortened(name, 200)}: no such folder; the pipeline makes it: run "
            "`dvc repro`, or give another folder or a hub id (owner/name)"
        )
