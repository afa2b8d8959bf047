"""A script says within two seconds that it compiles or waits: on a terminal, and to a parent."""

import re
import subprocess
import sys
import time

import pytest
from filelock import FileLock
from support import scripts
from support.terminal import Command

from stages.core.activity import VARIABLE, Activity, read_activity


@pytest.fixture
def words(files, checkpoint, tmp_path):
    """A small training that finds nothing compiled or kept."""
    file = files / scripts.FILES["ner"]
    return [
        sys.executable, "-m", "stages.run_flax_ner", f"--model_name_or_path={checkpoint('bert')}",
        f"--train_file={file}", f"--validation_file={file}", f"--output_dir={tmp_path / 'out'}",
        "--do_train", "--do_eval", "--return_entity_level_metrics", *scripts.training("ner"),
    ]  # fmt: skip


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A cache without anything in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)


@pytest.mark.slow(seconds=40)
def test_on_a_terminal(words, environment, tmp_path):
    command = Command(*words, width=100)
    status, text = command.finish(seconds=300)
    assert status == 0, text
    shown = "\n".join(text for _, text in command.shown)
    assert re.search(r"^training .* 0/3 compiling  0:0\d", shown, re.MULTILINE)
    far = r"(compiling|evaluating) 1/\d+  0:0\d"
    assert re.search(rf"^training .* [23]/3 {far}", shown, re.MULTILINE)
    # What the task is judged by; the file has the rest.
    assert re.search(r"^step 3: eval_f1 \d[\d.e-]*$", text, re.MULTILINE)
    assert "eval_precision" in (tmp_path / "out/eval_results.json").read_text()
    assert command.screen.cursor_shown


@pytest.mark.slow(seconds=60)
def test_to_a_parent(words, environment, tmp_path, monkeypatch):
    path = tmp_path / "activity"
    path.touch()
    monkeypatch.setenv(VARIABLE, str(path))
    with (tmp_path / "printed").open("w") as printed:
        process = subprocess.Popen(words, stdout=printed, stderr=subprocess.STDOUT)
        seen: list[Activity] = []
        while process.poll() is None:
            found = read_activity(path)
            if found is not None and found not in seen[-1:]:
                seen.append(found)
            time.sleep(0.002)
    said = (tmp_path / "printed").read_text()
    assert process.returncode == 0, said
    phases = [one.phase for one in seen]
    assert phases[0] == "running"
    assert any(phase.startswith("reading ") for phase in phases)
    assert any(phase.startswith("saving ") for phase in phases)
    compiling = next(one for one in seen if one.phase == "compiling")
    assert (compiling.label, compiling.done, compiling.total) == ("training", 0, 3)
    assert any(one.done == 3 and one.details.startswith("loss ") for one in seen)
    # Once it steps, nothing says that it compiles.
    assert not any("compiling" in one.details for one in seen)
    assert any(re.fullmatch(r"(compiling|evaluating) 1/\d+", phase) for phase in phases)
    # The parent shows the steps; what else is said is printed.
    assert "tokens/s" not in said
    assert "step 3: eval_f1 " in said


@pytest.mark.slow(seconds=30)
def test_a_wait_for_rows_is_said(words, environment, tmp_path):
    """Another process makes the same rows."""
    subprocess.run(words, capture_output=True, check=True)
    rows = tmp_path / "cache/flaxmill/rows"
    entry = next(path for path in rows.iterdir() if not path.name.startswith("."))
    for file in entry.iterdir():
        file.unlink()
    with FileLock(rows / f".{entry.name}.lock"):
        command = Command(*words, "--overwrite_output_dir", width=100)
        command.read(until=lambda text: "that makes these rows" in text)
        # The line that stays is printed when the wait begins.
        begun = next(when for when, text in command.shown if "another process that makes" in text)
        assert command.shown[-1][0] < begun + 2
    status, text = command.finish(seconds=300)
    assert status == 0, text
    assert "these rows" not in text
