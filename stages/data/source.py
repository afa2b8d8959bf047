"""Where a task's data comes from: the group `data` of its parameters, and the files it names."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from stages.core.errors import InputError, quoted
from stages.core.files import inside
from stages.core.schema import Arguments

SPLITS = {"train": "train_file", "validation": "validation_file", "test": "test_file"}


class DataSource(Arguments):
    """Common keys of `tasks.TASK.data`; a task adds the names of its columns."""

    source: str = Field(
        "", description="folder that holds the files; the pipeline tracks what is in it"
    )
    train_file: str | None = Field(
        None, description="file in source to train on (default: source/train.*)"
    )
    validation_file: str | None = Field(
        None, description="file in source (default: source/validation.*)"
    )
    test_file: str | None = Field(None, description="file in source (default: source/test.*)")
    dataset_name: str | None = Field(None, description="data set on the hub instead of files")
    dataset_config_name: str | None = Field(None, description="configuration of the data set")
    dataset_revision: str | None = Field(None, description="commit, tag or branch of the data set")
    train_split_name: str = Field("train", description="split to train on")
    eval_split_name: str = Field("validation", description="split to validate on")
    test_split_name: str = Field("test", description="split to test on")
    cache_dir: str | None = Field(None, description="where files from the hub are kept")
    # No parameter file holds it; the hub's library reads HF_TOKEN.
    token: ClassVar[None] = None
    overwrite_cache: bool = Field(False, description="fetch the data set from the hub again")

    def file(self, split: str) -> Path:
        """The file of `train`, `validation` or `test` within `source`.

        Raises:
            InputError: none or several that could be meant, or one outside `source`.
        """
        key = SPLITS[split]
        given = getattr(self, key)
        folder = Path(self.source)
        if not folder.is_dir():
            raise InputError(
                f"data.source {quoted(self.source)} is not a folder; put the files in one"
            )
        if given is None:
            found = sorted(folder.glob(f"{split}.*"))
            if len(found) != 1:
                names = ", ".join(path.name for path in found) or "none"
                raise InputError(
                    f"{folder}: expected one file {split}.*, found {names}; name it as data.{key}"
                )
            given = found[0].name
        path = self._inside(key, given)
        if not path.is_file():
            raise InputError(f"data.{key}: no file {path}")
        return path

    def _inside(self, key: str, name: Path | str) -> Path:
        try:
            return inside(self.source, name)
        except InputError as error:
            raise InputError(f"data.{key}: {error}") from None
