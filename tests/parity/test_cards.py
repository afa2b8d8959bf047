"""The lines of PyTorch on each model's card, as they stand there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import scripts

pytest.importorskip("torch")

from stages.tasks.registry import TASKS

pytestmark = pytest.mark.parity


def lines(folder: Path) -> str:
    """Those of the card, for a folder that was moved since."""
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    moved = re.sub(rf'"[^"]*/{folder.name}"', json.dumps(str(folder)), code)
    assert moved != code
    return moved


@pytest.mark.parametrize("task", TASKS)
def test_they_run_without_a_warning(task, trained, files, tmp_path):
    code = lines(trained(task))
    shutil.copy(files / "clips/0.wav", tmp_path / "clip.wav")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    # What models of a few steps write may be nothing.
    assert run.stdout
    for word in ("warn", "not used", "not initialized", "unexpected"):
        assert word not in run.stderr.lower(), run.stderr


def test_a_class_is_that_of_our_prediction(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = subprocess.run(
        [sys.executable, "-c", lines(trained("glue"))],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    texts = ("The bridge was closed.", "Nobody could cross.")
    flags = [word for text in texts for word in ("--text", text)]
    scripts.call("predict", trained("glue"), *flags, "--output_dir=out")
    (row,) = scripts.json_lines(tmp_path / "out/predictions.json")
    assert repr(row["prediction"]) in said.stdout
    assert f"{row['probability']:.4f}"[:5] in said.stdout
