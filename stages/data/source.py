"""Where a task's data comes from: the group `data` of its parameters, and the files it names."""

from dataclasses import dataclass
from pathlib import Path

from stages.core.arguments import flag
from stages.core.errors import InputError

SPLITS = {"train": "train_file", "validation": "validation_file", "test": "test_file"}


@dataclass(kw_only=True)
class Source:
    """Common keys of `tasks.TASK.data`; a task adds the names of its columns."""

    source: str = flag("", "folder that holds the files; the pipeline tracks what is in it")
    train_file: str | None = flag(None, "file in source to train on (default: source/train.*)")
    validation_file: str | None = flag(None, "file in source (default: source/validation.*)")
    test_file: str | None = flag(None, "file in source (default: source/test.*)")
    dataset_name: str | None = flag(None, "data set on the hub instead of files")
    dataset_config_name: str | None = flag(None, "configuration of the data set")
    dataset_revision: str | None = flag(None, "commit, tag or branch of the data set")
    train_split_name: str = flag("train", "split to train on")
    eval_split_name: str = flag("validation", "split to validate on")
    test_split_name: str = flag("test", "split to test on")
    cache_dir: str | None = flag(None, "where files from the hub are kept")
    token: str | None = flag(None, "access token for the hub")
    overwrite_cache: bool = flag(False, "fetch the data set from the hub again")

    def file(self, split: str) -> Path:
        """The file of `train`, `validation` or `test` within `source`.

        Raises:
            InputError: none or several that could be meant, or one outside `source`.
        """
        key = SPLITS[split]
        given = getattr(self, key)
        folder = Path(self.source)
        if not folder.is_dir():
            raise InputError(f"data.source {self.source!r} is not a folder; put the files in one")
        if given is None:
            found = sorted(folder.glob(f"{split}.*"))
            if len(found) != 1:
                names = ", ".join(path.name for path in found) or "none"
                raise InputError(
                    f"{folder}: expected one file {split}.*, found {names}; name it as data.{key}"
                )
            return found[0]
        path = folder / given
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"data.{key} {given!r} is outside data.source {self.source!r}")
        if not path.is_file():
            raise InputError(f"data.{key}: no file {path}")
        return path
