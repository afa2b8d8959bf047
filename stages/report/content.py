"""What the page shows, gathered from committed files, from the base and from the last run."""

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.progress import format_duration
from stages.core.text_table import format_change
from stages.gate.__main__ import check, read_metrics, read_versions
from stages.gate.base import Base
from stages.gate.changes import task_names
from stages.gate.files import Unusable, is_finite, parse_yaml, read_here
from stages.gate.render import Findings
from stages.pipeline.summary import DURATIONS, read_durations
from stages.report import figures
from stages.report.mistakes import READERS, Mistake, read_lines
from stages.training.results import PREDICTIONS


@dataclass
class Task:
    """One task's part of the page.

    changes: (metric, base, here, change) of every figure, those that moved first.
    plots: (title, SVG) of its curves.
    matrix: SVG of the classes, where there are any.
    mistakes: the worst; None where the task writes no predictions or they are not here.
    """

    name: str
    changes: list[tuple[str, str, str, str]]
    plots: list[tuple[str, str]]
    matrix: str | None = None
    mistakes: list[Mistake] | None = None


@dataclass
class Content:
    """The page."""

    findings: Findings
    here: str
    base: str | None
    tasks: list[Task]
    times: list[tuple[str, str, str]]
    versions: list[tuple[str, str, str]]
    notes: list[str] = field(default_factory=list)


def gather(folder: Path, rev: str | None, *, fork: bool = False) -> Content:
    """Read everything.

    Args:
        folder: where `params.yaml` is.
        rev: the Git revision to compare with; None for none.
        fork: compare with the commit at which HEAD left `rev`.

    Raises:
        Unusable: `params.yaml`, or the base, cannot be read.
    """
    findings = check(folder, rev, fork=fork)
    base = Base(folder, rev, fork=fork) if rev is not None else None
    params = parse_yaml("params.yaml", read_here(folder, "params.yaml"))
    names = task_names(params)
    ours = read_metrics(folder, names)
    theirs = read_metrics(folder, names, base) if base else {}
    plots = read_plots(folder)
    seeds = params.get("seeds") or {}
    content = Content(
        findings=findings,
        here=describe(folder),
        base=f"{base.rev} ({base.commit[:10]})" if base else None,
        tasks=[],
        times=read_times(folder, names),
        versions=compare_versions(folder, base),
    )
    for name in names:
        task = Task(
            name,
            compare(ours[name], theirs.get(name, {})),
            [
                (title, figures.curve(title, *curves))
                for title, *curves in curves_of(folder, base, name, plots, seeds.get(name, []))
            ],
        )
        results, data = folder / "results" / name, folder / "data" / name
        if name in READERS and results.is_dir():
            try:
                task.mistakes = READERS[name](results, data)
                task.matrix = matrix_of(results) if name == "glue" else None
            except (OSError, KeyError, StopIteration) as error:
                content.notes.append(f"{name}: predictions are not whole ({error!r})")
        content.tasks.append(task)
    if not any((folder / "results" / name).is_dir() for name in names):
        content.notes.append(
            "No predictions are here: dvc pull brings those of the last run, make repro makes them."
        )
    return content


def describe(folder: Path) -> str:
    """Branch and commit of the working tree, and whether it differs from that."""

    def git(*words: str) -> str:
        line = ["git", *words]
        return subprocess.run(line, cwd=folder, capture_output=True, text=True).stdout.strip()

    commit = git("log", "-1", "--format=%h %s")
    if not commit:
        return "no commit"
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{git('rev-parse', '--abbrev-ref', 'HEAD')}: {commit}{changed}"


def compare(ours, theirs) -> list[tuple[str, str, str, str]]:
    """Figures of one task at the base and here; those that moved first."""
    ours, theirs = ({} if isinstance(one, Unusable) else one for one in (ours, theirs))
    rows = []
    for metric in sorted({*ours, *theirs}):
        old, new = theirs.get(metric), ours.get(metric)
        both = is_finite(old) and is_finite(new)
        change = format_change(old, new) if both else ""
        same = not theirs or (both and old == new)
        rows.append((same, (metric, shown(old), shown(new), change)))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def shown(value) -> str:
    """A figure short enough for a column; a dash where there is none."""
    return f"{value:.6g}" if is_finite(value) else "-"


def read_plots(folder: Path) -> list[tuple[str, str, list[str]]]:
    """(title, file, columns) of the plots that `dvc.yaml` defines."""
    content = parse_yaml("dvc.yaml", read_here(folder, "dvc.yaml"))
    found = []
    for entry in content.get("plots") or []:
        for title, plot in entry.items():
            for file, columns in (plot.get("y") or {}).items():
                found.append((title, file, [columns] if isinstance(columns, str) else columns))
    return found


def curves_of(
    folder: Path, base: Base | None, task: str, plots, seeds: list[int]
) -> Iterator[tuple]:
    """(title, curve here, curve at the base or None, curves of seeds) of each plotted column."""
    for _, file, columns in plots:
        if not file.startswith(f"plots/{task}/"):
            continue
        path = folder / file
        there = base.read(file) if base else None
        repeats = [folder / f"plots/{task}-{seed}" / path.name for seed in seeds]
        repeats = [repeat.read_bytes() for repeat in repeats if repeat.is_file()]
        split = "training" if path.stem == "train" else "validation"
        for column in columns:
            if path.is_file():
                here = figures.read_curve(path.read_bytes(), column)
                old = figures.read_curve(there, column) if there is not None else None
                more = [figures.read_curve(repeat, column) for repeat in repeats]
                yield f"{column}, {split}", here, old, more


def matrix_of(results: Path) -> str | None:
    """The confusion matrix of a classification; None of a regression or without labels."""
    rows = read_lines(results / PREDICTIONS["eval"])
    if not rows or "probability" not in rows[0] or "label" not in rows[0]:
        return None
    return figures.confusion(
        [str(row["label"]) for row in rows], [str(row["prediction"]) for row in rows]
    )


def read_times(folder: Path, tasks: list[str]) -> list[tuple[str, str, str]]:
    """(stage, time, speed) of the last run of each stage, as far as `runs/` tells."""
    stages, speeds = read_durations(folder / DURATIONS), {}
    for task in tasks:
        times = folder / "runs" / task / "times.json"
        if times.is_file():
            found = json.loads(times.read_text(encoding="utf-8"))
            speeds[f"train@{task}"] = f"{found['tokens_per_second']:,.0f} tokens/s"
            stages.setdefault(f"train@{task}", found["train_seconds"])
    return [
        (name, format_duration(seconds), speeds.get(name, "")) for name, seconds in stages.items()
    ]


def compare_versions(folder: Path, base: Base | None) -> list[tuple[str, str, str]]:
    """(package, version at the base, version here)."""
    try:
        here, there = read_versions(folder)[0], read_versions(folder, base)[0] if base else {}
    except Unusable:
        return []
    return [(name, there.get(name, "-"), here.get(name, "-")) for name in sorted({*here, *there})]


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as part of the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def audio_type(content: bytes) -> str:
    """The media type of a clip, by its first bytes."""
    if content.startswith(b"fLaC"):
        return "audio/flac"
    if content.startswith(b"OggS"):
        return "audio/ogg"
    if content.startswith(b"RIFF"):
        return "audio/wav"
    return "audio/mpeg"
