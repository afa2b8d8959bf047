"""The page's figures, as SVG that scales with the page."""

import csv
import io
from collections.abc import Sequence

import matplotlib

# Without a screen; and text stays text, so that a figure is small and can be searched.
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
}

import numpy as np  # noqa: E402
from matplotlib import pyplot  # noqa: E402

HERE, BASE = "#1f6feb", "#8b949e"


def read_curve(content: bytes, column: str) -> tuple[list[float], list[float]]:
    """Steps and values of one column of a curve; rows without a number in it are left out."""
    steps, values = [], []
    for row in csv.DictReader(io.StringIO(content.decode("utf-8"))):
        try:
            step, value = float(row["step"]), float(row[column])
        except (KeyError, TypeError, ValueError):
            continue
        steps.append(step)
        values.append(value)
    return steps, values


def curve(title: str, here: tuple, base: tuple | None, seeds: Sequence[tuple] = ()) -> str:
    """The branch's curve over steps, the base's where there is one, and those of further seeds.

    Args:
        title: what the values are.
        here, base: steps and values.
        seeds: the same of each repeat of the branch's run.
    """
    figure, axes = pyplot.subplots(figsize=(4.6, 2.8))
    marker = "o" if len(here[0]) < 8 else None
    if base is not None and base[0]:
        axes.plot(*base, color=BASE, linestyle="--", marker=marker, label="base", zorder=1)
    for number, repeat in enumerate(seeds):
        label = None if number else "further seeds"
        axes.plot(*repeat, color=HERE, alpha=0.35, linewidth=1, label=label, zorder=1.5)
    axes.plot(*here, color=HERE, marker=marker, label="here", zorder=2)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("step")
    if seeds or (base is not None and base[0]):
        axes.legend(frameon=False)
    return _svg(figure)


def confusion(right: Sequence[str], found: Sequence[str]) -> str:
    """How often each class was taken for each: rows are right classes, columns predicted ones."""
    from sklearn.metrics import confusion_matrix

    names = sorted({*right, *found})
    counts = confusion_matrix(right, found, labels=names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 1.6 + 0.9 * len(names)
    figure, axes = pyplot.subplots(figsize=(size + 0.8, size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("right")
    for row, column in np.ndindex(*counts.shape):
        dark = shares[row, column] > 0.5
        text = f"{counts[row, column]}\n{100 * shares[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    return _svg(figure)


def _svg(figure) -> str:
    out = io.StringIO()
    # No date in it: the same figures give the same page.
    figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    pyplot.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]  # what stands before it belongs to a file, not to a page
