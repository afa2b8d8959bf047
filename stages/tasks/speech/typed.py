"""Audio files named at the command line, as rows to transcribe."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.data.tables import is_table
from stages.tasks.speech.manifest import MANIFESTS

AUDIO = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
# None: a clip has to be a file.
STREAM_SUFFIX = None


def typed_rows(texts: Sequence[str], arguments: Mapping[str, Any]) -> Iterator[dict]:
    """Nothing: what is transcribed is no text.

    Raises:
        InputError: always.
    """
    raise InputError("--text is nothing to transcribe; name an audio file, or a folder of them")


def clip_rows(path: Path, arguments: Mapping[str, Any]) -> list[dict] | None:
    """A row for an audio file, or for each one in a folder; None for what has rows already.

    Args:
        path: as the user gave it.
        arguments: of the prediction, which name its columns.

    Raises:
        InputError: a folder with neither a manifest nor audio files.
    """
    if path.is_dir():
        if any((path / name).is_file() for name in MANIFESTS):
            return None
        clips = sorted(file for file in path.iterdir() if file.suffix.lower() in AUDIO)
        if not clips:
            raise InputError(
                f"{path}: neither audio files ({', '.join(AUDIO)}) nor one of "
                f"{', '.join(MANIFESTS)} in the folder"
            )
    elif is_table(path) or path.suffix.lower() == ".parquet":
        return None
    else:
        clips = [path]
    column = arguments.get("audio_column_name") or "audio"
    # The rows lie in another folder than the clips.
    return [{column: str(clip.absolute())} for clip in clips]
