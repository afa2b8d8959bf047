"""What the page shows, from the committed files, the base and the last run."""

import base64
import importlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from stages.core.errors import InputError, one_line, quoted
from stages.core.params import PARAMS_FILE, parse_params, task_of
from stages.core.progress import format_duration
from stages.gate.__main__ import check
from stages.gate.base import Base
from stages.gate.changes import seeds_of, task_names
from stages.gate.files import baselines_of, is_finite, read_here
from stages.gate.inputs import read_metrics, shown_baselines
from stages.gate.render import Findings
from stages.gate.schema import parse_gates
from stages.pipeline.summary import DURATIONS, read_durations
from stages.report import figures
from stages.report.curves import draw_curves, find_jumps, read_plots
from stages.report.tables import changed_params, compare, compare_data, compare_versions
from stages.tasks import mistakes
from stages.tasks.mistakes import Mistake
from stages.tasks.registry import TASKS, part_name


@dataclass
class Task:
    """One section of the page: a key under `tasks` of `params.yaml`.

    changes: (metric, baseline, base, now, change) of every metric, those that changed first.
    plots: (title, SVG) of its curves.
    jumps: what the recipe does from some step on, a line each.
    matrix: SVG of the confusion matrix of a classification.
    large: whether that is too large to stand beside the curves.
    mistakes: the worst; None if the predictions are not here or cannot be judged.
    """

    name: str
    changes: list[tuple[str, ...]]
    plots: list[tuple[str, str]]
    jumps: list[str] = field(default_factory=list)
    matrix: str | None = None
    large: bool = False
    mistakes: list[Mistake] | None = None


@dataclass
class Content:
    """The page."""

    findings: Findings
    commit: str
    base: str | None
    tasks: list[Task]
    times: list[tuple[str, str, str]]
    params: list[tuple[str, str, str]]
    data: list[tuple[str, str, str]]
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
    ours = read_metrics(folder, [*names, *shown_baselines(folder, names)])
    theirs = read_metrics(folder, names, base) if base else {}
    gates = parse_gates(params).held
    notes = Notes()
    plots = notes.attempt("the list of plots cannot be read", [], read_plots, folder)
    content = Content(
        findings=findings,
        commit=notes.attempt("the commit cannot be named", "", describe, folder),
        base=f"{base.rev} ({base.commit[:10]})" if base else None,
        tasks=[],
        times=read_times(folder, names, notes),
        params=notes.attempt("parameters cannot be compared", [], changes_of, params, base),
        data=notes.attempt("data cannot be compared", [], compare_data, folder, base, names),
        versions=notes.attempt("versions cannot be read", [], compare_versions, folder, base),
        notes=notes.lines,
    )
    for name in names:
        simple = ours.get(baselines_of(name), {})
        changes = compare(ours[name], theirs.get(name, {}), simple, gates.get(name, {}))
        task = Task(name, changes, [])
        jumps = notes.attempt(f"{name}: its recipe cannot be read", [], find_jumps, params, name)
        task.jumps = [line for _, line in jumps]
        for plot in plots:
            wrong = f"{name}: {plot[0]} cannot be drawn"
            curves = (folder, base, name, [plot], seeds_of(params, name))
            steps = [step for step, _ in jumps]
            task.plots += notes.attempt(wrong, [], draw_curves, steps, *curves)
        if (folder / "results" / name).is_dir():
            wrong = f"{name}: predictions are incomplete"
            module = mistakes_module(params, name)
            task.mistakes = notes.attempt(wrong, None, find_mistakes, module, folder, name)
            wrong = f"{name}: there is no confusion matrix"
            drawn = notes.attempt(wrong, (None, False), draw_matrix, module, folder, name)
            task.matrix, task.large = drawn
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


def changes_of(params: dict, base: Base | None) -> list[tuple[str, str, str]]:
    """The parameters that are others than at the base."""
    content = base.read(PARAMS_FILE) if base else None
    if content is None:
        return []
    return changed_params(params, parse_params(content, f"{base.rev}:{PARAMS_FILE}"))


def find_mistakes(module: ModuleType, folder: Path, name: str) -> list[Mistake] | None:
    """The worst mistakes of a task.

    Raises:
        InputError: a clip that is none.
    """
    found = module.find_mistakes(folder / "results" / name, folder / "data" / name)
    if any(not isinstance(one.audio, bytes | None) for one in found or ()):
        raise InputError(f"data/{name}: the audio of a clip is no bytes")
    return found


def draw_matrix(module: ModuleType, folder: Path, name: str) -> tuple[str | None, bool]:
    """The confusion matrix of a classification, None for any other task; whether it is large."""
    if not hasattr(module, "read_classes"):
        return None, False
    classes = module.read_classes(folder / "results" / name)
    if not classes:
        return None, False
    return figures.confusion(classes), figures.is_large(classes)


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
