"""Crash checkpoints: the whole state of a training under way, so that it can go on if cut off.

    RUN_DIR/checkpoints/KEY/inputs.json          what the training is made from; KEY is its hash
    RUN_DIR/checkpoints/KEY/STEP/notes.json      the host's part, and a checksum of the rest
    RUN_DIR/checkpoints/KEY/STEP/state.safetensors

They lie outside what a stage puts out, which DVC removes before the stage runs again. As a step is
a function of the state before it and of its number alone (batches, masks and dropout are drawn
from seed and number), a run that goes on from a checkpoint ends with the bytes of one that was
never cut off.

Not Orbax, which Flax brings along: of 800 MB in which one bit was turned it made other weights
without a word, it took twice the time and five times the memory (4 GB) to write them.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from stages.core.checksums import checksum, file_checksum

# A checkpoint that is cut short by a crash of its own has one before it.
KEPT = 2
# The main thread spends at most a share of 1 in so many of its time on them.
SHARE = 20
ARRAYS, NOTES, INPUTS = "state.safetensors", "notes.json", "inputs.json"


class Saved(NamedTuple):
    """A checkpoint: steps done, arrays by name, and the host's notes."""

    step: int
    arrays: dict[str, np.ndarray]
    notes: dict


def to_arrays(tree, prefix: str) -> dict[str, np.ndarray]:
    """The arrays of `tree` on the host, copied, by their paths behind `prefix`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    # Copies: the next step is given these very arrays to overwrite.
    return {prefix + jax.tree_util.keystr(path): np.array(array) for path, array in leaves}


def from_arrays(shapes, arrays: dict[str, np.ndarray], prefix: str):
    """The inverse of `to_arrays`; `shapes` is a tree of the same structure, its arrays unread."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    found = [arrays[prefix + jax.tree_util.keystr(path)] for path, _ in leaves]
    return jax.tree_util.tree_unflatten(structure, found)


class Checkpoints:
    """Those of one training run; written in a thread, whole or not at all, `KEPT` of them kept.

    A checkpoint that cannot be written is told and costs nothing but itself.

    Args:
        folder: of the checkpoints of all runs to the same place, `RUN_DIR/checkpoints`.
        inputs: what the training is made from, as plain data: what differs in any of it starts
            anew.
        seconds: between two checkpoints, at the least.
    """

    def __init__(self, folder: Path, inputs: dict, seconds: float):
        self.root = folder
        self.inputs = inputs
        self.seconds = seconds
        self.last = time.monotonic()
        self.cost = 0.0
        self.written: int | None = None
        self._more: Callable[[], dict] = dict
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future | None = None

    def begin(self, more: Callable[[], dict]) -> Saved | None:
        """The last checkpoint of this very run, if there is one that can be read.

        Args:
            more: gives further inputs; called only when the key is needed.
        """
        self._more = more
        runs = sorted(path.parent for path in self.root.glob(f"*/{INPUTS}"))
        if not runs:
            return None
        for run in runs:
            if run != self._folder():
                self._tell(
                    f"{run}: of a run with {_difference(run, self.inputs)}; not used, and removed "
                    "when this one is done"
                )
        for step in sorted(self._steps(), reverse=True):
            saved = self._read(self._folder() / str(step))
            if saved is not None:
                self.written = step
                return saved
        return None

    def _folder(self) -> Path:
        self.inputs |= self._more()
        self._more = dict
        text = json.dumps(self.inputs, sort_keys=True)
        return self.root / checksum([text.encode()])[:16]

    def _steps(self) -> list[int]:
        folder = self._folder()
        return [int(path.name) for path in folder.glob("*") if path.name.isdigit()]

    def _read(self, folder: Path) -> Saved | None:
        try:
            notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
            if file_checksum(folder / ARRAYS) != notes["sha256"]:
                raise ValueError("cut short or changed")
            return Saved(int(folder.name), load_file(folder / ARRAYS), notes)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            self._tell(f"{folder}: cannot be used ({error}); the one before it is taken, if any")
            return None

    def due(self) -> bool:
        """Whether it is time for another one."""
        if self._pending is not None and not self._pending.done():
            return False
        return time.monotonic() - self.last >= max(self.seconds, SHARE * self.cost)

    def save(self, step: int, make: Callable[[], dict[str, np.ndarray]], notes: dict) -> None:
        """Copy what `make` gives, and write it in the thread.

        Args:
            step: steps done.
            make: the arrays, copied from the device.
            notes: the host's part, plain data.
        """
        self.finish()
        begin = time.monotonic()
        arrays = make()
        self.last = time.monotonic()
        self.cost = self.last - begin
        self._pending = self._writer.submit(self._write, step, arrays, notes)

    def _write(self, step: int, arrays: dict[str, np.ndarray], notes: dict) -> None:
        if not all(np.isfinite(array).all() for array in arrays.values()):
            self._tell(f"step {step}: not every number is finite; no checkpoint is made of it")
            return
        folder = self._folder()
        part = folder / f"{step}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            inputs = folder / INPUTS
            if not inputs.exists():
                _write_text(inputs, json.dumps(self.inputs, indent=1, sort_keys=True) + "\n")
            save_file(arrays, part / ARRAYS)
            _sync(part / ARRAYS)
            _write_text(part / NOTES, json.dumps({**notes, "sha256": file_checksum(part / ARRAYS)}))
            # One of this step that could not be read.
            shutil.rmtree(folder / str(step), ignore_errors=True)
            os.replace(part, folder / str(step))
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            self._tell(f"{folder}: none of step {step} ({error}); {self.outlook()}")
            return
        self.written = step
        for old in sorted(self._steps())[:-KEPT]:
            shutil.rmtree(folder / str(old), ignore_errors=True)

    def outlook(self) -> str:
        """What becomes of the run if it ends here; called by the writing thread as well."""
        if self.written is None:
            return "there is no checkpoint to go on from"
        return f"the same command goes on from step {self.written}"

    def tell_outlook(self, failure: str) -> None:
        """Say what failed, for a run that ends by it, and what becomes of the run."""
        self.finish()
        self._tell(f"{failure}; {self.outlook()}")

    def kept(self) -> str:
        """Where the last one lies, for a run that would only fail again; empty without one."""
        self.finish()
        if self.written is None:
            return ""
        return f"; the state of step {self.written} is kept in {self._folder() / str(self.written)}"

    def finish(self) -> None:
        """Wait until what was handed to `save` is written."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def clear(self) -> None:
        """Remove all of them, earlier runs' too: this one is done, and its outputs are written."""
        self.finish()
        self._writer.shutdown()
        shutil.rmtree(self.root, ignore_errors=True)

    @staticmethod
    def _tell(line: str) -> None:
        print(f"checkpoints: {line}", flush=True)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    _sync(path)


def _sync(path: Path) -> None:
    """On the disk, not only on its way: else a power cut leaves a name without its bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _difference(run: Path, inputs: dict) -> str:
    """In what a run's inputs are others: the first few, arguments with their values."""
    try:
        theirs = json.loads((run / INPUTS).read_text(encoding="utf-8"))
        old, new = theirs["arguments"], inputs["arguments"]
        lines = [
            f"{name} {old.get(name)} in place of {new.get(name)}"
            for name in sorted({**old, **new})
            if old.get(name) != new.get(name)
        ]
        lines += [
            f"other {name}"
            for name in sorted({**theirs, **inputs})
            if name != "arguments" and theirs.get(name) != inputs.get(name)
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"an {INPUTS} that cannot be read"
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return ", ".join(lines[:3]) + more
