"""What the page shows, from the committed files, the base and the last run."""

import base64
import importlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from stages.core.errors import InputError
from stages.core.params import parse_params, task_of
from stages.core.progress import format_duration
from stages.core.text_table import format_change
from stages.gate.__main__ import check, read_metrics, read_versions
from stages.gate.base import Base
from stages.gate.changes import task_names
from stages.gate.files import is_finite, read_here
from stages.gate.render import Findings
from stages.pipeline.profile import PIPELINE_FILE
from stages.pipeline.summary import DURATIONS, read_durations
from stages.pipeline.unroll import PLOTS_FILE
from stages.report import figures
from stages.tasks import mistakes
from stages.tasks.mistakes import Mistake
from stages.tasks.registry import TASKS, part_name


@dataclass
class Task:
    """One section of the page: a key under `tasks` of `params.yaml`.

    changes: (metric, base, now, change) of every metric, those that changed first.
    plots: (title, SVG) of its curves.
    matrix: SVG of the confusion matrix of a classification.
    mistakes: the worst; None if the predictions are not here or cannot be judged.
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
    commit: str
    base: str | None
    tasks: list[Task]
    times: list[tuple[str, str, str]]
    versions: list[tuple[str, str, str]]
    notes: list[str] = field(default_factory=list)


def gather(folder: Path, rev: str | None, *, fork: bool = False) -> Content:
    """Read everything.

    Args:
        folder: the one with `params.yaml`.
        rev: the Git revision to compare with; None to compare with nothing.
        fork: compare with the commit at which HEAD branched off `rev`.

    Raises:
        InputError: `params.yaml`, or the base, cannot be read.
    """
    findings = check(folder, rev, fork=fork)
    base = Base(folder, rev, fork=fork) if rev is not None else None
    params = parse_params(read_here(folder, "params.yaml"), "params.yaml")
    names = task_names(params)
    ours = read_metrics(folder, names)
    theirs = read_metrics(folder, names, base) if base else {}
    plots = read_plots(folder)
    seeds = params.get("seeds") or {}
    content = Content(
        findings=findings,
        commit=describe(folder),
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
        if results.is_dir():
            module = mistakes_module(params, name)
            try:
                task.mistakes = module.find_mistakes(results, data)
                classes = module.read_classes(results) if hasattr(module, "read_classes") else None
                task.matrix = figures.confusion(*classes) if classes else None
            except (OSError, KeyError, StopIteration) as error:
                content.notes.append(f"{name}: predictions are incomplete ({error!r})")
        content.tasks.append(task)
    if not any((folder / "results" / name).is_dir() for name in names):
        content.notes.append(
            "No predictions are here: dvc pull fetches those of the last run, make repro makes "
            "new ones."
        )
    return content


def mistakes_module(params: dict, name: str) -> ModuleType:
    """`mistakes` of the task that `tasks.NAME` runs, or the general one if the task has none."""
    try:
        module = part_name(task_of(params, name, list(TASKS)), "mistakes")
    except InputError:  # not in the registry
        return mistakes
    return importlib.import_module(module) if find_spec(module) else mistakes


def describe(folder: Path) -> str:
    """Branch and commit of the working tree, and whether it has changes."""

    def git(*words: str) -> str:
        line = ["git", *words]
        return subprocess.run(line, cwd=folder, capture_output=True, text=True).stdout.strip()

    commit = git("log", "-1", "--format=%h %s")
    if not commit:
        return "no commit"
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{git('rev-parse', '--abbrev-ref', 'HEAD')}: {commit}{changed}"


def compare(ours, theirs) -> list[tuple[str, str, str, str]]:
    """(metric, base, now, change) of one task's metrics, those that changed first."""
    ours, theirs = ({} if isinstance(one, InputError) else one for one in (ours, theirs))
    rows = []
    for metric in sorted({*ours, *theirs}):
        old, new = theirs.get(metric), ours.get(metric)
        both = is_finite(old) and is_finite(new)
        change = format_change(old, new) if both else ""
        same = not theirs or (both and old == new)
        rows.append((same, (metric, shown(old), shown(new), change)))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def shown(value) -> str:
    """A value short enough for a column; a dash if there is none."""
    return f"{value:.6g}" if is_finite(value) else "-"


def read_plots(folder: Path) -> list[tuple[str, list[str]]]:
    """(file, columns) of the plots that `dvc plots show` draws."""
    found = []
    for name in (PIPELINE_FILE, PLOTS_FILE):
        if not (folder / name).is_file():
            continue
        content = parse_params(read_here(folder, name), name)
        for plot in (plot for entry in content.get("plots") or [] for plot in entry.values()):
            for file, columns in (plot.get("y") or {}).items():
                path = (Path(name).parent / file).as_posix()
                found.append((path, [columns] if isinstance(columns, str) else columns))
    return found


def curves_of(
    folder: Path, base: Base | None, task: str, plots, seeds: list[int]
) -> Iterator[tuple]:
    """(title, curve, curve of the base or None, curves of seeds) of each plotted column."""
    for file, columns in plots:
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


def read_times(folder: Path, tasks: list[str]) -> list[tuple[str, str, str]]:
    """(stage, time, speed) of the last run of each stage, if `runs/` has them."""
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
    """(package, version at the base, version now)."""
    try:
        here, there = read_versions(folder)[0], read_versions(folder, base)[0] if base else {}
    except InputError:
        return []
    return [(name, there.get(name, "-"), here.get(name, "-")) for name in sorted({*here, *there})]


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def audio_type(content: bytes) -> str:
    """The media type of an audio file, by its first bytes."""
    if content.startswith(b"fLaC"):
        return "audio/flac"
    if content.startswith(b"OggS"):
        return "audio/ogg"
    if content.startswith(b"RIFF"):
        return "audio/wav"
    return "audio/mpeg"
