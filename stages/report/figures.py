"""The page's plots, as SVG that scales with the page."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib

# No display is needed. Text stays text, so that a plot is small and can be searched.
matplotlib.use("svg")
matplotlib.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "flaxmill",
    "font.family": ["sans-serif"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
    # A dollar in a label is a dollar.
    "text.parse_math": False,
}

import numpy as np  # noqa: E402
from matplotlib import pyplot  # noqa: E402

from stages.core.errors import InputError, one_line  # noqa: E402

# Inches of a curve, and of a matrix that has room in as much.
SIZE = (4.6, 2.8)
MOST_BESIDE = 5
NOW, BASE = "#1f6feb", "#8b949e"
# More classes make a matrix that nobody can read, and take minutes to draw.
MOST_CLASSES = 40
LONGEST_LABEL = 24
LONGEST_TITLE = 44


def read_curve(content: bytes, column: str) -> tuple[list[float], list[float]]:
    """Steps and values of one column of a curve; rows without a number in it are left out.

    Raises:
        ValueError: not UTF-8, or a number that is not finite.
    """
    steps, values = [], []
    for row in csv.DictReader(io.StringIO(content.decode("utf-8"))):
        try:
            step, value = float(row["step"]), float(row[column])
        except (KeyError, TypeError, ValueError):
            continue
        if not (math.isfinite(step) and math.isfinite(value)):
            raise ValueError(f"{column} is {value} at step {step}")
        steps.append(step)
        values.append(value)
    return steps, values


def curve(
    title: str,
    now: tuple,
    base: tuple | None,
    seeds: Sequence[tuple] = (),
    steps: Sequence[float] = (),
) -> str:
    """One column over steps: of this run, of the base if it has it, and of further seeds.

    Args:
        title: what the values are.
        now, base: steps and values.
        seeds: the same for each repeat of this run.
        steps: those to mark.
    """
    with new_figure(*SIZE) as (figure, axes):
        for step in steps:
            axes.axvline(step, color=BASE, linestyle=":", zorder=0.5)
        marker = "o" if len(now[0]) < 8 else None
        if base is not None and base[0]:
            axes.plot(*base, color=BASE, linestyle="--", marker=marker, label="base", zorder=1)
        for number, repeat in enumerate(seeds):
            label = None if number else "further seeds"
            axes.plot(*repeat, color=NOW, alpha=0.35, linewidth=1, label=label, zorder=1.5)
        axes.plot(*now, color=NOW, marker=marker, label="now", zorder=2)
        axes.set_title(shortened(title, LONGEST_TITLE), loc="left", fontsize=11)
        axes.set_xlabel("step")
        if seeds or (base is not None and base[0]):
            axes.legend(frameon=False)
        return _svg(figure)


def confusion(pairs: Mapping[tuple[str, str], int]) -> str:
    """The confusion matrix: rows are true classes, columns predicted ones.

    Args:
        pairs: how often there is each (true class, predicted one).

    Raises:
        InputError: more than `MOST_CLASSES`.
    """
    names = sorted({name for pair in pairs for name in pair})
    if len(names) > MOST_CLASSES:
        raise InputError(f"{len(names)} classes are more than the {MOST_CLASSES} that are drawn")
    counts = np.array([[pairs.get((true, found), 0) for found in names] for true in names])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = SIZE
    if is_large(pairs):
        size = 2.2 + 0.6 * len(names), 1.2 + 0.38 * len(names)
    ticks = range(len(names)), [shortened(name) for name in names]
    with new_figure(*size) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.grid(False)
        axes.set_xticks(*ticks, rotation=30, ha="right")
        axes.set_yticks(*ticks)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{counts[row, column]}\n{100 * shares[row, column]:.1f} %"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        return _svg(figure)


def is_large(pairs: Mapping[tuple[str, str], int]) -> bool:
    """Whether a confusion matrix needs more room than a curve."""
    return len({name for pair in pairs for name in pair}) > MOST_BESIDE


def shortened(name: str, most: int = LONGEST_LABEL) -> str:
    """A name as a plot has room for it, on one line of `most` characters."""
    text = one_line(name)
    return text if len(text) <= most else f"{text[: most - 3]}..."


@contextmanager
def new_figure(width: float, height: float) -> Iterator[tuple]:
    """A figure and its axes, of that many inches, for as long as the context lasts."""
    figure, axes = pyplot.subplots(figsize=(width, height))
    try:
        yield figure, axes
    finally:
        pyplot.close(figure)


def _svg(figure) -> str:
    out = io.StringIO()
    # Without a date, so that the same run gives the same page.
    figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]  # without the XML prolog, which a page must not hold
