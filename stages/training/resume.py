"""What a crash checkpoint holds of a training under way: put in, and taken out again."""

from collections import deque
from functools import partial

import numpy as np

from stages.training.best import Selection
from stages.training.checkpoints import Checkpoints, Saved, from_arrays, to_arrays
from stages.training.logger import Recorder
from stages.training.step import TrainState

STATE, BEST = "state", "best"


def save_progress(
    checkpoints: Checkpoints,
    step: int,
    state: TrainState,
    recorder: Recorder,
    recent: deque[tuple[float, float]],
    selection: Selection | None,
) -> None:
    """Hand the state after `step` steps to `checkpoints`, copied, and all that the host knows.

    `recent` are the sums of losses and counts of the last steps.
    """
    notes = {"recorder": recorder.notes(), "recent": list(recent)}
    if selection is not None:
        notes["selection"] = selection.notes()
    checkpoints.save(step, partial(_arrays, state, selection), notes)


def _arrays(state: TrainState, selection: Selection | None) -> dict[str, np.ndarray]:
    arrays = to_arrays(state, STATE)
    if selection is not None and selection.best is not None and selection.keeps_weights:
        arrays |= to_arrays(selection.best.weights, BEST)
    return arrays


def take_up(
    saved: Saved,
    shapes: TrainState,
    recorder: Recorder,
    recent: deque[tuple[float, float]],
    selection: Selection | None,
) -> TrainState:
    """The inverse of `save_progress`: gives back the state, on the host, and fills in the rest.

    `shapes` is a state of the same structure, its arrays unread.
    """
    recorder.go_on(saved.notes["recorder"])
    recent.extend(map(tuple, saved.notes["recent"]))
    if selection is not None:
        kept = any(name.startswith(BEST) for name in saved.arrays)
        best = from_arrays(shapes.params, saved.arrays, BEST) if kept else None
        selection.go_on(saved.notes["selection"], best)
    return from_arrays(shapes, saved.arrays, STATE)
