"""Hold the committed metrics to the gates of `params.yaml`: `python -m stages.gate [--base REV]`.

    gates:
      glue:
        eval_accuracy: {min: 0.75, tolerance: 0.02}  # at least 0.75, at most 0.02 below the base
        eval_loss: {max: 0.9, tolerance: "5%"}  # at most 0.9, at most 5% above the base
        eval_matthews: {tolerance: 0.05, better: higher}  # held to the base only

`min` and `max` are inclusive. A metric without a tolerance is shown beside the base, not held to
it. Which direction counts as worse is read at the base, if it has the gate. A task that is
switched off (`tasks.TASK.enabled: false`) is listed as such and holds nothing up.

Exit status: 0 every gate holds; 1 a metric falls short or regressed; 2 nothing can be said,
because a metric or file is missing, unreadable or not finite, a gate is badly written, or a
metrics file is not the one that `dvc.lock` records. 2 wins over 1. Nothing is run or fetched.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from stages.gate_files import (
    Base,
    Unusable,
    check_recorded,
    parse_metrics,
    parse_yaml,
    read_here,
    recorded_hashes,
)
from stages.gate_rules import OFF, Verdict, evaluate_gates, loosened_gates

COLOURS = {0: "\033[32m", 1: "\033[31m", 2: "\033[33m"}


def read_params(folder: Path):
    """Parse `params.yaml` of the working tree."""
    return parse_yaml("params.yaml", read_here(folder, "params.yaml", "gates are written there"))


def chosen_tasks(params, tasks: Iterable[str] | None = None) -> list[str]:
    """Return the tasks whose metrics are to be read: those given, or all of `params.yaml`."""
    known = params.get("tasks") if isinstance(params, Mapping) else None
    return [str(task) for task in tasks or (known if isinstance(known, Mapping) else ())]


def read_metrics(folder: Path, tasks: Iterable[str], base: Base | None = None) -> dict:
    """Return {task: metrics, or the `Unusable` that says why not}; {} for a task new to `base`."""
    found = {}
    for task in tasks:
        name = f"metrics/{task}.json"
        try:
            content = base.read(name) if base else read_here(folder, name)
            label = f"{base.rev}:{name}" if base else name
            found[task] = {} if content is None else parse_metrics(label, content)
        except Unusable as error:
            found[task] = error
    return found


def check_lock(folder: Path, tasks: Iterable[str]) -> list[Verdict]:
    """Hold the metrics files to what `dvc.lock` records: one verdict for each that differs."""
    try:
        lock = parse_yaml("dvc.lock", read_here(folder, "dvc.lock"))
        recorded = recorded_hashes(lock)
    except Unusable as error:
        return [Verdict("", "", "bad lock", 2, str(error))]
    verdicts = []
    for task in tasks:
        name = f"metrics/{task}.json"
        try:
            content = read_here(folder, name)
        except Unusable:
            continue  # its gates say so
        try:
            check_recorded(name, content, recorded)
        except Unusable as error:
            verdicts.append(Verdict(task, "", "not as run", 2, str(error)))
    return verdicts


def check(folder: Path, rev: str | None = None, tasks=None, lock: bool = True):
    """Judge everything; return (verdicts, warnings). Raises `Unusable` if nothing can be read."""
    params = read_params(folder)
    wanted = chosen_tasks(params, tasks)
    metrics = read_metrics(folder, wanted)
    base_params, base_metrics, warnings = None, None, []
    if rev is not None:
        base = Base(folder, rev)
        content = base.read("params.yaml")
        base_params = parse_yaml(f"{rev}:params.yaml", content) if content is not None else {}
        base_metrics = read_metrics(folder, wanted, base)
        warnings = loosened_gates(params, base_params, tasks)
    verdicts = evaluate_gates(params, metrics, base_params, base_metrics, tasks)
    if lock:
        verdicts += check_lock(folder, wanted)
    return verdicts, warnings


def table(verdicts: list[Verdict], with_base: bool, colour: bool) -> str:
    """Lay the verdicts out in aligned columns."""
    header = ["task", "metric", "value", "gate", "base", "change", "verdict"]
    rows = []
    for one in verdicts:
        change = ""
        if one.value is not None and one.base is not None:
            change = f"{Decimal(str(one.value)) - Decimal(str(one.base)):+.6g}"
        base = "new" if one.base is None and one.value is not None else number(one.base)
        rows.append([one.task, one.metric, number(one.value), one.gate, base, change, one.verdict])
    if not with_base:
        header, *rows = ([*row[:4], row[6]] for row in [header, *rows])
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for status, row in zip([None, *(one.status for one in verdicts)], [header, *rows], strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if colour and status is not None:
            cells[-1] = f"{COLOURS[status]}{row[-1]}\033[0m"
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Write a figure short enough for a column."""
    return "" if value is None else f"{value:.6g}"


def main(argv: list[str] | None = None) -> int:
    """Print the verdicts and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", metavar="REV", help="compare with this Git revision too")
    parser.add_argument(
        "--no-lock-check", action="store_true", help="leave dvc.lock out of it: metrics mid-change"
    )
    parser.add_argument("--task", action="append", help="judge only this task (may be repeated)")
    parser.add_argument("--repo-dir", type=Path, default=Path(), help="where params.yaml is")
    options = parser.parse_args(argv)
    try:
        verdicts, warnings = check(
            options.repo_dir, options.base, options.task, not options.no_lock_check
        )
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(table(verdicts, options.base is not None, colour), flush=True)
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    # Several gates on one unreadable file are one problem.
    for line in dict.fromkeys(one.message for one in verdicts if one.message):
        print(f"error: {line}", file=sys.stderr)
    status = max(one.status for one in verdicts)
    if not status:
        print(f"{sum(one.verdict != OFF for one in verdicts)} gates hold")
    return status


if __name__ == "__main__":
    try:
        ended = main()
    except Exception:  # a defect of ours must not leave with 1, which is a judgement
        traceback.print_exc()
        ended = 2
    sys.exit(ended)
