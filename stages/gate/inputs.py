"""What the gate judges, as it is in the working tree and at the base."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from stages.core.errors import InputError
from stages.core.params import parse_params
from stages.gate.base import Base
from stages.gate.changes import task_names
from stages.gate.data_sums import ChangedData, changed_data
from stages.gate.files import baselines_of, parse_metrics, read_here, recorded_requirements
from stages.gate.lockfile import Record, parse_records
from stages.gate.schema import parse_gates


def read_params(folder: Path):
    """Parse `params.yaml` of the working tree."""
    return parse_params(read_here(folder, "params.yaml", "gates are written there"), "params.yaml")


def file_names(params, tasks: Iterable[str] | None = None) -> list[str]:
    """The metrics files that are judged: `TASK`, and those of seeds and baselines if asked for."""
    return [*(tasks or task_names(params)), *parse_gates(params, tasks).further_files]


def read_metrics(folder: Path, files: Iterable[str], base: Base | None = None) -> dict:
    """Return {file: metrics, or the `InputError` that says why not}; {} for one new to `base`.

    Files are named as by `file_names`.
    """
    found = {}
    for file in files:
        name = f"metrics/{file}.json"
        try:
            content = base.read(name) if base else read_here(folder, name)
            label = f"{base.rev}:{name}" if base else name
            found[file] = {} if content is None else parse_metrics(label, content)
        except InputError as error:
            found[file] = error
    return found


def read_versions(folder: Path, base: Base | None = None) -> tuple[Mapping, str | None]:
    """{package: version} of `versions.json`, and the md5 of the requirements behind `dvc.lock`.

    Empty where there is no such file: they are warned of, not judged.
    """

    def read(name: str) -> bytes | None:
        if base:
            return base.read(name)
        return read_here(folder, name) if (folder / name).is_file() else None

    versions, lock = read("versions.json"), read("dvc.lock")
    where = f"{base.rev}:" if base else ""
    return (
        {} if versions is None else parse_metrics(f"{where}versions.json", versions),
        None if lock is None else recorded_requirements(parse_params(lock, f"{where}dvc.lock")),
    )


def shown_baselines(folder: Path, tasks: Iterable[str]) -> list[str]:
    """`baselines/TASK` of the tasks that have such a file, whether or not a gate asks for it."""
    files = map(baselines_of, tasks)
    return [file for file in files if (folder / f"metrics/{file}.json").is_file()]


def read_records(folder: Path, base: Base | None = None) -> dict[str, Record]:
    """{stage: its record in `dvc.lock`}; empty where the base has no such file.

    Raises:
        InputError: it cannot be read, or is missing here.
    """
    content = base.read("dvc.lock") if base else read_here(folder, "dvc.lock")
    if content is None:
        return {}
    try:
        return parse_records(parse_params(content, "dvc.lock"))
    except InputError as error:
        raise InputError(f"{base.rev}: {error}" if base else str(error)) from None


def read_changed_data(
    folder: Path, base: Base, tasks: Iterable[str], *, measured_again: bool
) -> tuple[dict[str, ChangedData], list[str]]:
    """The tasks that cannot be compared, as their test data are others, and warnings.

    Where one `dvc.lock` cannot be read, all are compared.

    Args:
      folder: the working tree.
      base: what it is compared with.
      tasks: those to look at.
      measured_again: the figures here may be of another machine than those of the last commit.
        Data that the commit has as the base has them, and that came out differently here, are not
        the branch's doing: such tasks are compared.
    """
    try:
        here, there = read_records(folder), read_records(folder, base)
        changed = changed_data(here, there, tasks)
        remade = set()
        if measured_again and changed:
            last = read_records(folder, Base(folder, "HEAD"))
            remade = {*changed} - {*changed_data(last, there, changed)}
    except InputError as error:
        return {}, [f"test data cannot be compared: {error}"]
    lines = []
    for task, (old, new) in changed.items():
        what = "made differently here, compared" if task in remade else "changed, not compared"
        lines.append(f"{task}: test data {what}: {old} -> {new}")
    return {task: one for task, one in changed.items() if task not in remade}, lines
