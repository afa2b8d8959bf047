"""Hold the committed metrics to the gates of `params.yaml`: `python -m stages.gate [--base REV]`.

    gates:
      glue:
        eval_accuracy: {min: 0.75, tolerance: 0.02}  # at least 0.75, at most 0.02 below the base
        eval_loss: {max: 0.9, tolerance: "5%"}  # at most 0.9, at most 5% above the base
        eval_matthews: {tolerance: 0.05, better: higher}  # held to the base only
        eval_f1: {min: 0.75, deviations: 2}  # the mean over `seeds.glue`, less 2 deviations
        eval_recall: {beats: baseline, margin: 0.02}  # 0.02 better than the best simple method

`min` and `max` are inclusive. A metric without a tolerance is shown next to the base, not held to
it. Which direction counts as worse is read at the base, if it has the gate. A task that is
switched off (`tasks.TASK.enabled: false`) is listed as such and holds nothing up.

With `deviations: k` the mean of `metrics/seeds/TASK.json`, made k deviations worse, is held to
`min` and `max` instead of the main run's figure. A tolerance then compares the means, or the
mean with the base's one figure where the base has no mean.

`beats: baseline` asks for more than the best figure that `metrics/baselines/TASK.json` has of the
metric, by `margin` if there is one. Higher is better or lower, as `better` or a bound says, else as
the metric's name does.

A task with other test data than at the base is not compared with it; what its gates say of the
figures alone still holds. With `--strict` that too needs its line under `gates.loosened`.

With a base, a task or metric that it has and this branch lacks fails too, unless params.yaml gives
it up: `gates.glue.eval_f1: retired`, `gates.glue.retired: [eval_LOC_*]` for several without a gate,
or `gates.glue: retired` for a whole task. Counts may come and go. A gate that is
easier to hold than at the base is a warning; with `--strict` it fails, unless the list
`gates.loosened` has a line that names it, `glue.eval_accuracy min 0.75 -> 0.7`.

Exit status: 0 every gate holds; 1 a metric falls short or regressed, or (`--strict`) a gate is
loosened; 2 nothing can be said, because a metric or file is missing, unreadable or not finite, a
gate is badly written, or a figure is not of this commit, by what `dvc.lock` records. 2 wins over 1.
Nothing is run or fetched.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from stages.core.errors import InputError, one_line
from stages.core.params import parse_params
from stages.gate.base import Base, parse_options
from stages.gate.baselines import not_beaten
from stages.gate.changes import (
    changed_versions,
    done_retiring,
    judge_presence,
    moved_figures,
    task_names,
)
from stages.gate.files import task_of_file
from stages.gate.inputs import (
    file_names,
    read_changed_data,
    read_metrics,
    read_params,
    read_versions,
    shown_baselines,
)
from stages.gate.loosened import (
    find_loosened,
    find_lower_baselines,
    find_retired,
    name_changed,
    refuse_loosened,
)
from stages.gate.provenance import check_provenance
from stages.gate.render import Findings, as_json, as_markdown, as_text
from stages.gate.rules import NOT_COMPARED, Verdict, evaluate_gates
from stages.gate.schema import switched_off


def version_warnings(folder: Path, base: Base) -> list[str]:
    """Say in what libraries branch and base differ, or why that cannot be said."""
    try:
        (here, lock), (there, base_lock) = read_versions(folder), read_versions(folder, base)
    except InputError as error:
        return [f"versions cannot be compared: {error}"]
    lines = changed_versions(here, there)
    if lock != base_lock:
        lines.append("requirements.lock is another than at the base, by what dvc.lock records")
    return lines


def committed_warnings(folder: Path, params, metrics, tasks) -> list[str]:
    """Say which figures are not about those of the last commit, or why that cannot be said."""
    try:
        last = Base(folder, "HEAD")
    except InputError as error:
        return [f"the committed figures cannot be compared: {error}"]
    return moved_figures(params, metrics, read_metrics(folder, metrics, last), tasks)


def check(
    folder: Path,
    rev: str | None = None,
    tasks: Iterable[str] | None = None,
    *,
    lock: bool = True,
    fork: bool = False,
    strict: bool = False,
    committed: bool = False,
) -> Findings:
    """Judge everything.

    Args:
      folder: where `params.yaml` is.
      rev: the Git revision to compare with; None for none.
      tasks: judge only these.
      lock: hold the commit to what `dvc.lock` records of the run.
      fork: compare with the commit at which HEAD left `rev`.
      strict: refuse what is loosened since the base and no line of `gates.loosened` names.
      committed: say which figures are not about those of the last commit.

    Raises:
      InputError: nothing can be read, here or at the base.
    """
    params = read_params(folder)
    files = file_names(params, tasks)
    baselines = shown_baselines(folder, tasks or task_names(params))
    metrics = read_metrics(folder, {**dict.fromkeys(files), **dict.fromkeys(baselines)})
    if rev is None:
        verdicts, warnings, compared = evaluate_gates(params, metrics, tasks=tasks), [], None
    else:
        base = Base(folder, rev, fork=fork)
        compared = (rev, base.commit)
        options = {"strict": strict, "measured_again": committed}
        verdicts, warnings = compare(folder, base, params, metrics, tasks, **options)
    if lock:
        judged = [file for file in files if not switched_off(params, task_of_file(file))]
        stale, unheld = check_provenance(folder, params, judged)
        verdicts, warnings = verdicts + stale, warnings + unheld
    for one in verdicts:
        if one.value is not None and one.gate.beats is None:  # else it is a failure
            warnings = warnings + not_beaten(
                one.task, one.metric, one.gate, one.value, one.baseline
            )
    if committed:
        warnings = warnings + committed_warnings(folder, params, metrics, tasks)
    return Findings(verdicts, warnings, compared)


def compare(
    folder: Path, base: Base, params, metrics, tasks=None, *, strict: bool, measured_again: bool
) -> tuple[list[Verdict], list[str]]:
    """Verdicts and warnings beside a base; arguments as for `check` and `read_changed_data`."""
    content = base.read("params.yaml")
    base_params = {} if content is None else parse_params(content, f"{base.rev}:params.yaml")
    there = [] if tasks else task_names(base_params)
    base_metrics = read_metrics(folder, {*metrics, *there}, base)
    own = [
        task
        for task in tasks or task_names(params)
        if not (switched_off(params, task) or switched_off(base_params, task))
    ]
    changed, warnings = read_changed_data(folder, base, own, measured_again=measured_again)
    comparable = {
        file: found for file, found in base_metrics.items() if task_of_file(file) not in changed
    }
    both = (params, metrics, base_params, comparable, tasks)
    verdicts = evaluate_gates(*both) + judge_presence(*both, changed)
    verdicts += [Verdict(task, "", NOT_COMPARED, data=pair) for task, pair in changed.items()]
    loosened = find_loosened(params, base_params, tasks) + find_lower_baselines(*both)
    if strict:
        given_up = find_retired(params, base_params, base_metrics, tasks)
        named = [*loosened, *given_up, *name_changed(changed)]
        verdicts += refuse_loosened(named, params, base_params)
    return verdicts, [
        *(f"loosened: {one.line}" for one in loosened),
        *warnings,
        *done_retiring(params, base_params, base_metrics, tasks),
        *version_warnings(folder, base),
    ]


def main(argv: list[str] | None = None) -> int:
    """Print the verdicts and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--no-lock-check", action="store_true", help="leave dvc.lock out of it: metrics mid-change"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="with --base: fail on what is loosened, unless gates.loosened names it",
    )
    parser.add_argument(
        "--committed",
        action="store_true",
        help="say which figures differ from those of HEAD by more than their tolerance",
    )
    parser.add_argument("--task", action="append", help="judge only this task (may be repeated)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    form.add_argument("--md", action="store_true", help="print Markdown, for a page")
    options = parse_options(parser, argv)
    for_people = not (options.json or options.md)
    try:
        findings = check(
            options.repo_dir,
            options.base,
            options.task,
            lock=not options.no_lock_check,
            fork=options.merge_base,
            strict=options.strict,
            committed=options.committed,
        )
    except InputError as error:
        if for_people:
            print(f"error: {one_line(str(error))}", file=sys.stderr)
            return 2
        findings = Findings([Verdict("", "", "not judged", 2, str(error))])
    if for_people:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(as_text(findings, colour), flush=True)
    else:
        print(as_json(findings) if options.json else as_markdown(findings), flush=True)
    for line in findings.warnings:
        print(f"warning: {one_line(line)}", file=sys.stderr)
    for line in findings.problems:
        print(f"error: {one_line(line)}", file=sys.stderr)
    if for_people and not findings.status:
        print(findings.summary)
    return findings.status


if __name__ == "__main__":
    try:
        ended = main()
    except Exception:  # a defect of ours must not leave with 1, which is a judgement
        traceback.print_exc()
        ended = 2
    sys.exit(ended)
