"""What the page shows, from the committed files, the base and the last run."""

import base64
import importlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from stages.core.errors import InputError, one_line, quoted
from stages.core.params import parse_params, task_of
from stages.core.progress import format_duration
from stages.core.text_table import format_change
from stages.gate.__main__ import check, read_metrics, read_versions
from stages.gate.base import Base
from stages.gate.changes import seeds_of, task_names
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
    notes = Notes()
    plots = notes.attempt("the list of plots cannot be read", [], read_plots, folder)
    content = Content(
        findings=findings,
        commit=notes.attempt("the commit cannot be named", "", describe, folder),
        base=f"{base.rev} ({base.commit[:10]})" if base else None,
        tasks=[],
        times=read_times(folder, names, notes),
        versions=notes.attempt("versions cannot be read", [], compare_versions, folder, base),
        notes=notes.lines,
    )
    for name in names:
        task = Task(name, compare(ours[name], theirs.get(name, {})), [])
        for plot in plots:
            wrong = f"{name}: {plot[0]} cannot be drawn"
            curves = (folder, base, name, [plot], seeds_of(params, name))
            task.plots += notes.attempt(wrong, [], draw_curves, *curves)
        if (folder / "results" / name).is_dir():
            wrong = f"{name}: predictions are incomplete"
            module = mistakes_module(params, name)
            task.mistakes = notes.attempt(wrong, None, find_mistakes, module, folder, name)
            wrong = f"{name}: there is no confusion matrix"
            task.matrix = notes.attempt(wrong, None, draw_matrix, module, folder, name)
        content.tasks.append(task)
    if not any((folder / "results" / name).is_dir() for name in names):
        notes.lines.append(
            "No predictions are here: dvc pull fetches those of the last run, make repro makes "
            "new ones."
        )
    return content


class Notes:
    """What is missing on the page, and why.

    lines: one for each part that could not be made.
    """

    def __init__(self):
        self.lines: list[str] = []

    def attempt(self, wrong: str, default, make: Callable, *arguments):
        """What `make` returns; if it fails, the default, and a line that begins with `wrong`.

        Whatever a part of the page fails at, it costs that part: the files it reads are of a run
        that may have been cut off, or of somebody else.
        """
        try:
            return make(*arguments)
        except InputError as error:
            reason = str(error)
        except Exception as error:  # see above
            reason = f"{type(error).__name__}: {error}"
        self.lines.append(f"{wrong} ({one_line(reason):.200})")
        return default


def draw_curves(folder: Path, base: Base | None, *which) -> list[tuple[str, str]]:
    """(title, SVG) of the curves that `curves_of` finds."""
    found = curves_of(folder, base, *which)
    return [(title, figures.curve(title, *curves)) for title, *curves in found]


def find_mistakes(module: ModuleType, folder: Path, name: str) -> list[Mistake] | None:
    """The worst mistakes of a task.

    Raises:
        InputError: a clip that is none.
    """
    found = module.find_mistakes(folder / "results" / name, folder / "data" / name)
    if any(not isinstance(one.audio, bytes | None) for one in found or ()):
        raise InputError(f"data/{name}: the audio of a clip is no bytes")
    return found


def draw_matrix(module: ModuleType, folder: Path, name: str) -> str | None:
    """The confusion matrix of a classification; None for any other task."""
    if not hasattr(module, "read_classes"):
        return None
    classes = module.read_classes(folder / "results" / name)
    return figures.confusion(classes) if classes else None


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
        return subprocess.run(
            line, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        ).stdout.strip()

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


def read_times(folder: Path, tasks: list[str], notes: Notes) -> list[tuple[str, str, str]]:
    """(stage, time, speed) of the last run of each stage, if `runs/` has them."""
    stages, speeds = read_durations(folder / DURATIONS), {}
    for task in tasks:
        times = folder / "runs" / task / "times.json"
        if times.is_file():
            wrong = f"{task}: the times of its training cannot be read"
            seconds, speed = notes.attempt(wrong, (None, ""), read_speed, times)
            if seconds is not None:
                speeds[f"train@{task}"] = speed
                stages.setdefault(f"train@{task}", seconds)
    return [
        (name, format_duration(seconds), speeds.get(name, "")) for name, seconds in stages.items()
    ]


def read_speed(times: Path) -> tuple[float, str]:
    """Seconds and speed of a training, out of its `times.json`.

    Raises:
        InputError: half a file, or figures that are none.
    """
    try:
        found = json.loads(times.read_text(encoding="utf-8"))
        seconds, speed = found["train_seconds"], found["tokens_per_second"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{times.name} is damaged: {quoted(error)}") from None
    if not (is_finite(seconds) and is_finite(speed)):
        raise InputError(
            f"{times.name} is damaged: {quoted(seconds)} seconds, {quoted(speed)} tokens/s"
        )
    return seconds, f"{speed:,.0f} tokens/s"


def compare_versions(folder: Path, base: Base | None) -> list[tuple[str, str, str]]:
    """(package, version at the base, version now)."""
    here, there = read_versions(folder)[0], read_versions(folder, base)[0] if base else {}
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
