"""The test data of each task, by the sums that `dvc.lock` records of what its figures come from."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.gate.definitions import is_below
from stages.gate.lockfile import Record

DATA = "data"
# Of a file or a folder. What else stands in its place is no sum, and names no other data.
SUM = re.compile(r"[0-9a-f]{32}(\.dir)?")


class ChangedData(NamedTuple):
    """The sums of a task's test data, at the base and here."""

    old: str
    new: str


def data_sum(records: Mapping[str, Record], task: str) -> str:
    """The MD5 sum of the data that `metrics/TASK.json` was measured on; "" if none is recorded.

    Of several files their sums, whatever the files are called.
    """
    path = f"metrics/{task}.json"
    read = next((record.deps for record in records.values() if path in record.outs), {})
    sums = [md5 for dep, md5 in read.items() if is_below(dep, DATA)]
    return "+".join(sorted(sums)) if all(map(SUM.fullmatch, sums)) else ""


def data_files(records: Mapping[str, Record], task: str) -> dict[str, str]:
    """{file: MD5 sum} of a task's data, as far as stages record what they read of them."""
    read = (item for record in records.values() for item in record.deps.items())
    return {path: md5 for path, md5 in read if md5 and is_below(path, f"{DATA}/{task}")}


def changed_data(
    here: Mapping[str, Record], base: Mapping[str, Record], tasks: Iterable[str]
) -> dict[str, ChangedData]:
    """{task: sums} of the tasks whose test data are recorded on both sides, and are not the same.

    Args:
      here, base: the records of both `dvc.lock`.
      tasks: those to look at.
    """
    pairs = {task: ChangedData(data_sum(base, task), data_sum(here, task)) for task in tasks}
    return {
        task: pair for task, pair in pairs.items() if pair.old and pair.new and pair.old != pair.new
    }
