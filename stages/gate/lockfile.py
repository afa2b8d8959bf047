"""`dvc.lock`, read strictly: what each stage of the last run was made from and what it made."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from stages.core.errors import InputError
from stages.gate.files import AGAIN


@dataclass(frozen=True)
class Record:
    """One stage's entry.

    cmd: its command.
    deps, outs: {path: md5}; of a folder that of its list of files, which ends in `.dir`.
    params: {file: {dotted key: value}}.
    """

    cmd: object
    deps: Mapping[str, str]
    params: Mapping[str, Mapping]
    outs: Mapping[str, str]


def parse_records(lock) -> dict[str, Record]:
    """{stage: its record} of a parsed `dvc.lock`.

    Raises:
        InputError: no lock file, or an entry that DVC does not write.
    """
    stages = lock.get("stages") if isinstance(lock, Mapping) else None
    if not isinstance(stages, Mapping):
        raise InputError(f"dvc.lock: holds no stages; {AGAIN}")
    return {str(stage): _record(str(stage), entry) for stage, entry in stages.items()}


def _record(stage: str, entry) -> Record:
    params = entry.get("params") or {} if isinstance(entry, Mapping) else None
    if not isinstance(params, Mapping) or not all(
        isinstance(values, Mapping) for values in params.values()
    ):
        raise InputError(f"dvc.lock: the entry of {stage} is not DVC's; {AGAIN}")
    deps, outs = (_hashes(stage, entry.get(part) or []) for part in ("deps", "outs"))
    return Record(entry.get("cmd"), deps, params, outs)


def _hashes(stage: str, listed) -> dict[str, str]:
    found = {}
    for item in listed if isinstance(listed, list) else [None]:
        path = item.get("path") if isinstance(item, Mapping) else None
        md5 = item.get("md5", "") if isinstance(item, Mapping) else None
        if not isinstance(path, str) or not isinstance(md5, str):
            raise InputError(f"dvc.lock: the entry of {stage} is not DVC's; {AGAIN}")
        path = posixpath.normpath(path)
        if path in found:
            raise InputError(f"dvc.lock: {stage} records {path} twice; {AGAIN}")
        found[path] = md5
    return found
