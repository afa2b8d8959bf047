"""The curves of a task, and the steps at which its recipe makes them jump."""

from collections.abc import Iterator
from pathlib import Path

from stages.core.errors import InputError
from stages.core.params import parse_params, task_of
from stages.gate.base import Base
from stages.gate.files import is_finite, read_here
from stages.pipeline.profile import PIPELINE_FILE
from stages.pipeline.unroll import PLOTS_FILE
from stages.report import figures
from stages.tasks.registry import TASKS


def find_jumps(params: dict, name: str) -> list[tuple[float, str]]:
    """(step, what training does from there on) where the recipe has such a step."""
    block = params["tasks"][name]
    try:
        known = TASKS[task_of(params, name, list(TASKS))]
    except InputError:  # not in the registry
        return []
    found = []
    for key, needed, text in known.steps:
        step, size = block.get(key), block.get(needed)
        if is_finite(step) and step > 0 and is_finite(size) and size > 1:
            found.append((step, f"From step {step} on (dotted, {key}) {text}: the loss jumps."))
    return found


def draw_curves(steps: list[float], folder: Path, base: Base | None, *which) -> list[tuple]:
    """(title, SVG) of the curves that `curves_of` finds, with the steps marked."""
    found = curves_of(folder, base, *which)
    return [(title, figures.curve(title, *curves, steps=steps)) for title, *curves in found]


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
