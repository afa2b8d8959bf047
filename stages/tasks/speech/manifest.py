"""Where the rows of clips stand: a manifest, a folder of audio with one, or a parquet file."""

from pathlib import Path

from stages.core.errors import InputError
from stages.data.tables import Table, read_table
from stages.tasks.speech.parquet import read_parquet

# What `datasets` calls the manifest within a folder of audio.
MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def find_manifest(path: str | Path) -> Path:
    """The file of the rows: `path`, or the one of `MANIFESTS` in that folder."""
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / name for name in MANIFESTS if (path / name).is_file()]
    if len(found) != 1:
        names = " and ".join(file.name for file in found) or "none"
        raise InputError(
            f"{path}: expected one of {', '.join(MANIFESTS)} in the folder, found {names}"
        )
    return found[0]


def is_parquet(path: Path) -> bool:
    """Whether the file holds its audio, or can."""
    return path.suffix.lower() == ".parquet"


def read_rows(path: Path) -> Table:
    """The rows of a manifest or a parquet file, without audio."""
    return read_parquet(path) if is_parquet(path) else read_table(path)
