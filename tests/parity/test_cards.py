"""The lines of PyTorch on each model's card, as they stand there."""

import shutil
import subprocess
import sys

import pytest
from support import scripts

pytest.importorskip("torch")

from stages.tasks.registry import TASKS

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("task", TASKS)
def test_they_run_without_a_warning(task, trained, files, tmp_path):
    card = (trained(task) / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    assert str(trained(task)) in code
    shutil.copy(files / "clips/0.wav", tmp_path / "clip.wav")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    for word in ("warn", "not used", "not initialized", "unexpected"):
        assert word not in run.stderr.lower(), run.stderr


def test_a_class_is_that_of_our_prediction(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = (trained("glue") / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    texts = card.partition("stages.predict")[2].partition("```")[0].splitlines()[1]
    words = texts.partition("--text ")[2].strip('"').split('" --text "')
    flags = [flag for word in words for flag in ("--text", word)]
    scripts.call("predict", trained("glue"), *flags, "--output_dir=out")
    (row,) = scripts.json_lines(tmp_path / "out/predictions.json")
    assert repr(row["prediction"]) in said.stdout
    assert f"{row['probability']:.4f}"[:5] in said.stdout
