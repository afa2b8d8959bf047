"""Resume states: the whole state of a training under way, on disk, in case it is cut off.

    RUN_DIR/checkpoints/KEY/inputs.json          what the run is made from; KEY is its hash
    RUN_DIR/checkpoints/KEY/STEP/state.json      plain data, and a checksum of the arrays
    RUN_DIR/checkpoints/KEY/STEP/state.safetensors

They lie outside a stage's outputs, which DVC removes before the stage runs again. As a step is a
function of the state before it and of its number alone (batches, masks and dropout are drawn from
seed and number), a resumed run ends with the same bytes as one that was never cut off.

Not Orbax, which Flax brings along: with one bit flipped in 800 MB it restored other weights
without an error, and it took twice the time and five times the memory (4 GB) to write them.
"""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from stages.core.checksums import checksum, file_checksum
from stages.core.files import atomic_folder, write_text

# How many to keep: where a crash cut the last one short, the one before it is left.
KEPT = 2
# The main thread spends at most one part in this many of its time on them.
SHARE = 20
ARRAYS, PLAIN, INPUTS = "state.safetensors", "state.json", "inputs.json"
# What reading a damaged file raises.
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError)


class ResumeStore:
    """The resume states of one run, written in a thread, each completely or not at all.

    One that cannot be written is reported, and the training continues.

    Args:
        folder: of the resume states of all runs into one place, `RUN_DIR/checkpoints`.
        inputs: what identifies the run, as plain data: a state saved with other inputs is not
            restored.
        seconds: least time between two states.
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

    def restore_latest(self, more: Callable[[], dict]) -> dict | None:
        """The last readable state saved by a run with the same inputs, as `save` got it.

        Args:
            more: returns further inputs; called only once the key is needed.
        """
        self._more = more
        runs = sorted(path.parent for path in self.root.glob(f"*/{INPUTS}"))
        if not runs:
            return None
        for run in runs:
            if run != self._folder():
                self._print(
                    f"{run}: of a run with {_difference(run, self.inputs)}; not used, and removed "
                    "when this one is done"
                )
        for step in sorted(self._steps(), reverse=True):
            state = self._read(self._folder() / str(step))
            if state is not None:
                self.written = step
                return state
        return None

    def _folder(self) -> Path:
        self.inputs |= self._more()
        self._more = dict
        text = json.dumps(self.inputs, sort_keys=True)
        return self.root / checksum([text.encode()])[:16]

    def _steps(self) -> list[int]:
        folder = self._folder()
        return [int(path.name) for path in folder.glob("*") if path.name.isdigit()]

    def _read(self, folder: Path) -> dict | None:
        try:
            state = json.loads((folder / PLAIN).read_text(encoding="utf-8"))
            if file_checksum(folder / ARRAYS) != state.pop("sha256"):
                raise ValueError("cut short or changed")
            return {**state, "arrays": load_file(folder / ARRAYS)}
        except UNREADABLE as error:
            self._print(f"{folder}: cannot be used ({error}); the one before it is taken, if any")
            return None

    def due(self) -> bool:
        """Whether it is time for the next state."""
        if self._pending is not None and not self._pending.done():
            return False
        return time.monotonic() - self.last >= max(self.seconds, SHARE * self.cost)

    def save(self, state_dict: Callable[[], dict]) -> None:
        """Take the state that `state_dict` returns, and write it in the thread.

        It has the number of steps done under `step`, NumPy arrays by name under `arrays`, which
        nobody changes afterwards, and plain data under its other keys.
        """
        self.wait()
        begin = time.monotonic()
        state = state_dict()
        self.last = time.monotonic()
        self.cost = self.last - begin
        self._pending = self._writer.submit(self._write, **state)

    def _write(self, step: int, arrays: dict[str, np.ndarray], **plain) -> None:
        if not all(np.isfinite(array).all() for array in arrays.values()):
            self._print(f"step {step}: not every number is finite; its state is not saved")
            return
        folder = self._folder()
        try:
            if not (folder / INPUTS).exists():
                write_text(
                    folder / INPUTS, json.dumps(self.inputs, indent=1, sort_keys=True) + "\n"
                )
            # It may replace a state of this step that could not be read.
            with atomic_folder(folder / str(step), sync=True) as part:
                save_file(arrays, part / ARRAYS)
                plain |= {"step": step, "sha256": file_checksum(part / ARRAYS)}
                (part / PLAIN).write_text(json.dumps(plain), encoding="utf-8")
        except (OSError, SafetensorError) as error:
            self._print(f"{folder}: no state of step {step} ({error}); {self.resume_hint()}")
            return
        self.written = step
        for old in sorted(self._steps())[:-KEPT]:
            shutil.rmtree(folder / str(old), ignore_errors=True)

    def resume_hint(self) -> str:
        """How the run resumes if it ends now; called by the writing thread as well."""
        if self.written is None:
            return "there is no state to resume from"
        return f"the same command resumes from step {self.written}"

    def print_hint(self, failure: str) -> None:
        """Print what failed, for a run that ends by it, and how the run resumes."""
        self.wait()
        self._print(f"{failure}; {self.resume_hint()}")

    def latest_path(self) -> Path | None:
        """The folder of the last state that was written; None without one."""
        self.wait()
        return None if self.written is None else self._folder() / str(self.written)

    def wait(self) -> None:
        """Wait until the state given to `save` is written."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def clear(self) -> None:
        """Remove all states, those of other runs too: this run is done, its outputs written."""
        self.wait()
        self._writer.shutdown()
        shutil.rmtree(self.root, ignore_errors=True)

    @staticmethod
    def _print(line: str) -> None:
        print(f"checkpoints: {line}", flush=True)


def _difference(run: Path, inputs: dict) -> str:
    """How a run's inputs differ from `inputs`: the first three, arguments with their values."""
    try:
        theirs = json.loads((run / INPUTS).read_text(encoding="utf-8"))
        old, new = theirs["arguments"], inputs["arguments"]
        lines = [
            f"{name} {old.get(name)} instead of {new.get(name)}"
            for name in sorted({**old, **new})
            if old.get(name) != new.get(name)
        ]
        lines += [
            f"other {name}"
            for name in sorted({**theirs, **inputs})
            if name != "arguments" and theirs.get(name) != inputs.get(name)
        ]
    except UNREADABLE:
        return f"an {INPUTS} that cannot be read"
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return ", ".join(lines[:3]) + more
