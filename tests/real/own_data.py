"""`make new` and `make repro` on real data, for each task, into docs/own-data.json and the page.

    python own_data.py --data FOLDER [--weights FOLDER] [TRIAL ...]
    python own_data.py --seconds 312 TRIAL      # one whose profile was run by hand

`FOLDER` of the data holds `pawsx/`, `wnut17/` and so on as their publishers give them, that of the
weights a folder for each model; `support/trials.py` lists both. A profile stays in `profiles/`,
and one that is there is not made again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from stages.core.files import write_json
from stages.tools.scale.__main__ import processor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import results_tables, trials  # noqa: E402


def make(*words: str) -> None:
    """Run a command of the project.

    Raises:
        SystemExit: it failed.
    """
    if subprocess.run(["make", *words], cwd=ROOT).returncode:
        raise SystemExit(f"make {' '.join(words)} failed")


def main() -> None:
    """Run the trials that are named, or all, and keep their figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="*", choices=[[], *trials.TRIALS], default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seconds", type=float, help="of a `make repro` that was run by hand")
    options = parser.parse_args()
    if (options.data is None) == (options.seconds is None):
        parser.error("give --data, or --seconds with one trial that has run")
    for name in options.trials or trials.TRIALS:
        trial = trials.TRIALS[name]
        if (seconds := options.seconds) is None:
            words = [f"PROFILE={name}", f"TASK={trial.task}", f"DATA={options.data / trial.data}"]
            words.append(f"ARGS={' '.join(trial.flags)}")
            if trial.model:
                words.append(f"MODEL={options.weights / trial.model}")
            make("new", *words)
            began = time.monotonic()
            make("repro", f"PROFILE={name}", "JOBS=1")
            seconds = time.monotonic() - began
        keep(name, trials.measured(trial, ROOT / "profiles" / name, seconds))


def keep(name: str, one: dict) -> None:
    """Write the figures of a trial beside those of the others, and the page."""
    kept = json.loads(trials.FIGURES.read_text(encoding="utf-8"))
    one["processor"] = f"{processor()}, {len(os.sched_getaffinity(0))} cores"
    write_json(trials.FIGURES, {**kept, name: one})
    results_tables.write_pages()


if __name__ == "__main__":
    main()
