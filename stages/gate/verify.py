"""Whether a run gave what the last commit records: `python -m stages.gate.verify [--base REV]`.

Every output of every stage is compared by the checksums in `dvc.lock`: data, tokenizers, models,
predictions, curves, metrics. The training and the evaluation of a task that is not `portable` may
give other bytes on another processor; its metrics are held to the tolerances of their gates.

Where stages differ, those that began it are named: their inputs are the same, and what they made is
not. Where an input is another (a parameter, code, data), the figures are new ones: `make gate`
judges them.

Exit status: 0 the same; 1 other bytes, or a metric beyond its tolerance; 2 nothing can be said.
Run `make repro FORCE=1` first: a stage that is up to date does not run.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import InputError, one_line
from stages.gate.__main__ import check
from stages.gate.base import Base
from stages.gate.changes import section_of
from stages.gate.definitions import is_below
from stages.gate.inputs import read_params, read_records
from stages.gate.lockfile import Record

# Stages of a task, before `@`, whose figures are XLA's, or made from such.
TRAINED = ("train", "evaluate", "train-seed", "evaluate-seed", "spread")


@dataclass
class Comparison:
    """What is alike of two runs.

    same: outputs with the same bytes.
    began: {stage: its outputs with other bytes}, of stages with the same inputs.
    follow: outputs that differ because an input was made otherwise.
    free: outputs that differ of tasks that are not portable.
    """

    same: int = 0
    began: dict[str, list[str]] = field(default_factory=dict)
    follow: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)


def compare(here: Mapping[str, Record], there: Mapping[str, Record], params: Mapping) -> Comparison:
    """Compare each stage's outputs.

    Args:
        here, there: {stage: its record}, of this run and of the recorded one.
        params: of this run.

    Raises:
        InputError: the runs are not of the same pipeline; says of what they are not.
    """
    if here.keys() != there.keys():
        names = ", ".join(sorted(here.keys() ^ there.keys()))
        raise InputError(f"dvc.lock: other stages than in the commit ({names})")
    made = {path for record in there.values() for path in record.outs}
    found = Comparison()
    for stage, record in here.items():
        old = there[stage]
        differing = [path for path in record.outs if record.outs[path] != old.outs.get(path)]
        found.same += len(record.outs) - len(differing)
        if not differing:
            continue
        changed = [path for path in record.deps if record.deps[path] != old.deps.get(path)]
        given = [
            path
            for path in changed
            if path not in made and not any(is_below(path, out) for out in made)
        ]
        if record.cmd != old.cmd or record.params != old.params:
            given.insert(0, "params.yaml")
        if given:
            raise InputError(
                f"{stage} was made from another {given[0]} than in the commit, so its figures are "
                "new ones; `make gate` judges those"
            )
        if not _is_portable(stage, params):
            found.free += differing
        elif changed:
            found.follow += differing
        else:
            found.began[stage] = differing
    return found


def _is_portable(stage: str, params: Mapping) -> bool:
    """Whether a stage promises the same bytes on every processor."""
    name, _, key = stage.partition("@")
    if name not in TRAINED:
        return True
    tasks = section_of(params, "tasks")
    # A repeat with another seed is called after its task: `glue-2`.
    task = key if key in tasks else key.rpartition("-")[0]
    return section_of(tasks, task).get("portable") is True


def main(argv: list[str] | None = None) -> int:
    """Print what differs, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.gate.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--base", metavar="REV", default="HEAD", help="the record (default: HEAD)")
    parser.add_argument(
        "--repo-dir", type=Path, default=Path(), help="the folder with params.yaml (default: .)"
    )
    options = parser.parse_args(argv)
    folder, rev = options.repo_dir, options.base
    try:
        params = read_params(folder)
        found = compare(read_records(folder), read_records(folder, Base(folder, rev)), params)
        if found.free:
            tasks = section_of(params, "tasks")
            loose = [task for task in tasks if not _is_portable(f"train@{task}", params)]
            findings = check(folder, rev, loose, lock=False)
    except InputError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 2
    print(f"{found.same} outputs have the bytes that {rev} records")
    for stage, paths in found.began.items():
        print(f"error: {stage}: other bytes of {', '.join(paths)}", file=sys.stderr)
    if found.follow:
        print(f"error: and so of {', '.join(found.follow)}", file=sys.stderr)
    status = 1 if found.began or found.follow else 0
    if found.free:
        print(
            f"{len(found.free)} of tasks that are not portable have others: {', '.join(found.free)}"
        )
        for line in findings.problems:
            print(f"error: {one_line(line)}", file=sys.stderr)
        status = max(status, findings.status)
    return status


if __name__ == "__main__":
    sys.exit(main())
