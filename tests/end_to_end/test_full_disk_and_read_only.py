"""What the machine refuses, a full disk or a place that may not be written: told, nothing lost."""

import errno
import io
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import scripts, small_pipeline
from support.repository import Repository

from stages.core.errors import REFUSALS, command

CACHE = "JAX_COMPILATION_CACHE_DIR"


@contextmanager
def small_disk(folder: Path, size: str):
    """`folder` on a disk of that size, which only root can arrange."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mount, capture_output=True, text=True, check=False).stderr
    except OSError as error:
        refused = str(error)
    if refused:
        pytest.skip(f"no small disk can be arranged here ({refused.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def without_roots_powers() -> tuple[str, ...]:
    """A command under which a folder's mode counts; nothing for who is not root."""
    if os.geteuid() != 0:
        return ()
    powers = "-dac_override,-dac_read_search,-fowner"
    command = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("root's powers cannot be given up here: there is no setpriv, or it may not")
    return command


@contextmanager
def read_only(folder: Path):
    """All folders of a tree without the right to write."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o755)


def flags(files, checkpoint, output: Path, *more) -> list[str]:
    return [
        f"--model_name_or_path={checkpoint()}",
        f"--train_file={files / 'text.txt'}",
        f"--validation_file={files / 'text.txt'}",
        f"--output_dir={output}",
        "--do_train",
        "--overwrite_output_dir",
        "--checkpoint_seconds=0",
        *scripts.TRAINING,
        *scripts.OWN["mlm"],
        *more,
    ]


@pytest.mark.slow
def test_a_full_disk_at_the_weights(files, checkpoint, tmp_path):
    """The weights that were there stay whole; with room again the command goes on."""
    whole = tmp_path / "whole"
    scripts.call("run_mlm_flax", *flags(files, checkpoint, whole))
    runs = f"--run_dir={tmp_path / 'runs'}"
    with small_disk(tmp_path / "disk", "16m") as disk:
        scripts.call("run_mlm_flax", *flags(files, checkpoint, disk, "--max_steps=1", runs))
        # What is left would not hold the weights once more.
        free = os.statvfs(disk)
        room = (whole / "model.safetensors").stat().st_size // 2
        (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_bsize - room))
        kept = (disk / "model.safetensors").read_bytes()
        told = io.StringIO()
        line = scripts.refused("run_mlm_flax", *flags(files, checkpoint, disk, runs), out=told)
        outlook = r"the weights are not written; the same command resumes from step (\d+)"
        step = re.search(outlook, told.getvalue())[1]
        assert line.startswith(f"error: {disk / 'model.safetensors'}: No space left on device; ")
        assert line.endswith(REFUSALS[errno.ENOSPC])
        assert (disk / "model.safetensors").read_bytes() == kept
        assert not list(disk.glob(".*")), "half a file is left behind"
    found = scripts.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "again", runs))
    assert f"resuming from step {step} of" in found
    for name in ("model.safetensors", "train_results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_a_full_disk_at_a_checkpoint(files, checkpoint, tmp_path):
    """The training ends as without one, and the line says what is missing."""
    scripts.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "whole"))
    with small_disk(tmp_path / "disk", "64k") as disk:
        run = f"--run_dir={disk / 'runs'}"
        out = scripts.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "cut", run))
    assert "No space left on device" in out
    assert "there is no state to resume from" in out
    for name in ("model.safetensors", "train_results.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_a_cache_of_dvc_that_may_not_be_written(tmp_path):
    """DVC names the place; what was made before comes back, and with the right it goes on."""
    under = without_roots_powers()
    project = small_pipeline.make_project(tmp_path / "project")
    small_pipeline.repro(project, "newsroom")
    small_pipeline.commit(project, "The first run")
    lock = (project / "dvc.lock").read_bytes()
    before = scripts.tree(project / "data")
    small_pipeline.change_params(project, {"newsroom": {"seed": 2}})
    with read_only(project / ".dvc/cache"):
        status, said = small_pipeline.run(project, "dvc", "repro", "newsroom", under=under)
    assert status != 0
    assert "failed to reproduce 'check': [Errno 13] Permission denied: " in said
    assert scripts.tree(project / "data") == before
    with read_only(project / ".dvc/cache"):
        words = ("repro", "--single-item", "newsroom")
        status, said = small_pipeline.run(project, "dvc", *words, under=under)
    assert status != 0
    assert "failed to reproduce 'newsroom': [Errno 13] Permission denied: " in said
    assert str(project / ".dvc/cache") in said
    assert (project / "dvc.lock").read_bytes() == lock
    assert scripts.tree(project / "data") != before
    # `make restore`, without looking whether all is installed.
    Repository(project).call("make", "-o", "setup", "restore", "ARGS=data/newsroom")
    assert scripts.tree(project / "data") == before
    small_pipeline.repro(project, "newsroom")
    assert scripts.tree(project / "data") != before


@pytest.mark.slow
def test_a_cache_of_compiled_programs_that_may_not_be_written(files, checkpoint, tmp_path):
    """It only costs the time that it would have saved, and that is told."""
    under = without_roots_powers()
    (tmp_path / "cache").mkdir()
    command = ["stages.run_mlm_flax", *flags(files, checkpoint, tmp_path / "out")]
    with read_only(tmp_path / "cache"):
        environment = ("env", "-u", CACHE, f"XDG_CACHE_HOME={tmp_path / 'cache'}")
        status, said = small_pipeline.run(
            small_pipeline.ROOT, *command, under=(*under, *environment)
        )
    assert status == 0, said
    assert "PermissionError" in said
    assert (tmp_path / "out/model.safetensors").is_file()


@pytest.mark.parametrize("number", REFUSALS)
def test_what_is_refused_is_one_line(number, capsys):
    @command
    def main():
        raise OSError(number, os.strerror(number), "models/it")

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    line = f"error: models/it: {os.strerror(number)}; {REFUSALS[number]}\n"
    assert capsys.readouterr().err == line


def test_other_errors_of_the_system_keep_their_traceback():
    @command
    def main():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        main()
