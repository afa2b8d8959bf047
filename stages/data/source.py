"""Where a task's data comes from: the group `data` of its parameters, and the files it names."""

from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from pydantic import Field, PrivateAttr

from stages.core.errors import InputError, quoted
from stages.core.files import inside
from stages.core.schema import Arguments
from stages.core.strict_json import read_json_object
from stages.data.columns import ChosenColumns

# Beside the files that fetch writes: flag to the column's name in the source, where it is another.
SOURCE_COLUMNS = "source_columns.json"
SPLITS = {"train": "train_file", "validation": "validation_file", "test": "test_file"}


class Converted(NamedTuple):
    """What a file holds that was brought to the standard form.

    rows: how many.
    chosen: which of its columns is what.
    """

    rows: int
    chosen: ChosenColumns = ChosenColumns()


def has_source_columns(file: str | None) -> bool:
    """Whether a file is one that fetch wrote, and so in the standard form."""
    return _source_columns_file(file).is_file()


def read_source_columns(file: str | None) -> dict[str, str]:
    """Flag to the column's name in the source, as fetch wrote it beside a file; else nothing.

    Raises:
        InputError: something else is there.
    """
    if not has_source_columns(file):
        return {}
    path = _source_columns_file(file)
    found = read_json_object(path)
    if not all(isinstance(name, str) for name in found.values()):
        raise InputError(f"{path}: expected the names of columns; fetch the data again")
    return found


def _source_columns_file(file: str | None) -> Path:
    return Path(file or "").parent / SOURCE_COLUMNS


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
    _where: str = PrivateAttr("data")

    def at(self, where: str) -> Self:
        """These keys, with the file and the whole path of the group, for messages."""
        self._where = where
        return self

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
                f"{self._where}.source {quoted(self.source)} is not a folder; put the files in one"
            )
        if given is None:
            found = sorted(folder.glob(f"{split}.*"))
            if len(found) != 1:
                names = ", ".join(path.name for path in found) or "none"
                raise InputError(
                    f"{folder}: expected one file {split}.*, found {names}; name it "
                    f"({self._where}.{key})"
                )
            given = found[0].name
        path = self._inside(key, given)
        if not path.is_file():
            raise InputError(f"{self._where}.{key}: no file {path}")
        return path

    def _inside(self, key: str, name: Path | str) -> Path:
        try:
            return inside(self.source, name)
        except InputError as error:
            raise InputError(f"{self._where}.{key}: {error}") from None
